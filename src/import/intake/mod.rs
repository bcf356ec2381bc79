//! Intake: scans one account's incoming and claims the pairs that are ready.
//!
//! A scan takes no input but the account. It completes interrupted claims, lists incoming,
//! decides, writes one row per claim, and only then moves files. The result does not depend on
//! what triggered the scan.

pub mod empty_accounts;
pub mod quota;
pub mod recipient_rule;
pub mod survey;
pub mod unclaimed;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use self::recipient_rule::verdict;
use super::run::early_start::Claimed;
use super::run::queue::{Queued, Weight};
use super::run::transitions::FinishError;
use super::{Engine, ImportRow};
use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::manifest::Manifest;
use crate::recipient::recipient;
use crate::report::{Failure, FailureText};
use crate::sanitize::chain;
use crate::spool::PlannedClaim;
use crate::spool::pairing;
use crate::spool::{
    self, ArrivalOrder, Claim, ClaimError, FolderError, Incoming, ManifestCache, ScanError,
    ScanResult,
};
use crate::state::accounts::AccountRow;
use crate::state::imports::{self, NewImport, Origin};
use crate::state::{self, accounts};

/// Pause after an error of the host.
const TRY_AGAIN: Duration = Duration::from_secs(10);
/// Pause before the next scan if a file changed during this one, in case its event was lost.
const CHANGED_AGAIN: Duration = Duration::from_secs(1);

/// The watcher reads an event that is already in the kernel's queue within this time.
const EVENTS_WITHIN: Duration = Duration::from_millis(20);

/// The result of one scan.
#[derive(Debug, Default)]
pub struct Looked {
    /// Imports that were claimed and queued, in order.
    pub queued: Vec<Queued>,
    /// Whether the first one has begun already, with its picked_up milestone enqueued.
    pub begun: bool,
    /// When to scan again even if nothing happens.
    pub again: Option<Duration>,
}

impl Looked {
    fn look_again(&mut self, pause: Duration) {
        self.again = Some(self.again.map_or(pause, |again| again.min(pause)));
    }
}

/// Why an account could not be scanned.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    #[error(transparent)]
    Scan(#[from] ScanError),
    #[error(transparent)]
    State(#[from] state::Error),
    #[error(transparent)]
    Begin(#[from] FinishError),
    /// The panic message is on standard error.
    #[error("a bug of ours ended the scan")]
    Panicked,
}

/// The result of one claim.
enum Claiming {
    /// The pair is in the spool, and the import is queued or has begun.
    Queued { begun: bool },
    /// The files are in incoming again, and the row is gone.
    TakenBack,
    /// The host failed; the row stays `claiming` for the next try.
    Unfinished,
}

impl Engine {
    /// Scans `account`'s incoming and claims every pair that is ready.
    ///
    /// `may_begin` means that no import of the account waits or runs and that a slot for a light
    /// import is free: the first import may then begin in the transaction of its claim.
    ///
    /// # Errors
    /// The state database or incoming can't be read. No step is left half done.
    pub fn look(&self, account: &AccountId, may_begin: bool) -> Result<Looked, IntakeError> {
        let mut looked = Looked::default();
        if !self.finish_claims(account, &mut looked)? {
            return Ok(looked);
        }
        let Some(row) = self.state.read(|tx| accounts::get(tx, account))? else {
            self.memories().remove(account);
            return Ok(looked);
        };
        let (listed_at, listed) = (Timestamp::now(), Instant::now());
        let Some(seen) = self.see(&row)? else { return Ok(looked) };
        for problem in &seen.problems {
            tracing::error!(%account, "{}", chain(problem));
            looked.look_again(TRY_AGAIN);
        }
        if seen.changed {
            looked.look_again(CHANGED_AGAIN);
        }
        let spent = self.spent(account, &seen)?;
        self.tell_if_full(account, seen.usage)?;
        let order = self.order(account, &seen, listed_at);
        let periods = self.config.pairing_of(account);
        let spent = |name: &str| spent.get(name).cloned();
        let hearing = self.hearing.get();
        if let Some(hearing) = hearing {
            hearing.catch_up(account);
        }
        let upload = |file: &spool::DirEntry| {
            hearing.map(|hearing| hearing.upload(account, file)).unwrap_or_default()
        };
        let decisions = pairing::decide(&seen.snapshot, &order, periods, spent, upload);
        if let Some(pause) = decisions.rescan_in() {
            looked.look_again(pause.saturating_sub(listed.elapsed()));
        }
        if decisions.claims.is_empty() {
            self.tell_unclaimed(&row, &seen)?; // only when it delays no pair
        }
        for take in &decisions.claims {
            let begins = may_begin && looked.queued.is_empty() && self.may_begin_with(take);
            if !self.take(&row, take, begins, &mut looked)? {
                return Ok(looked); // later manifests must not overtake this one
            }
        }
        let more = seen.unread || seen.usage.cut || decisions.more;
        if seen.unread || (more && !looked.queued.is_empty()) {
            looked.look_again(Duration::ZERO);
        }
        Ok(looked)
    }

    /// Lists incoming. `None` if the account has no folder.
    pub(super) fn see(&self, row: &AccountRow) -> Result<Option<ScanResult>, IntakeError> {
        let incoming = match Incoming::open(&self.layout, &row.id, &self.opener) {
            Err(ScanError::Folder(FolderError::Missing { .. })) => return Ok(None),
            incoming => incoming?,
        };
        let limits = self.config.limits_of(&row.id);
        let mut memory = self.memories().remove(&row.id).unwrap_or_default();
        let seen =
            incoming.scan(&mut memory, limits, |bytes| verdict(Manifest::parse(bytes, limits)));
        self.memories().insert(row.id.clone(), memory);
        let seen = seen?;
        self.empties.note(&row.id, seen.empty);
        Ok(Some(seen))
    }

    /// Returns the imports that used the listed manifests' names before.
    fn spent(
        &self,
        account: &AccountId,
        seen: &ScanResult,
    ) -> state::Result<HashMap<String, ImportId>> {
        let names = || seen.snapshot.manifests.iter().map(|manifest| &manifest.entry.name);
        self.state.read(|tx| {
            let mut spent = HashMap::new();
            for name in names() {
                if let Some(import) = imports::find_spender(tx, account, name)? {
                    spent.insert(name.clone(), import);
                }
            }
            Ok(spent)
        })
    }

    /// Returns the order in which manifests were completed, as recorded by the watcher. Waits a
    /// moment for manifests without a record: their events are already in the kernel's queue.
    fn order(&self, account: &AccountId, seen: &ScanResult, listed_at: Timestamp) -> ArrivalOrder {
        if !seen.usage.cut && !seen.unread {
            let listed = seen.manifests.iter().map(String::as_str).collect();
            self.arrivals.keep(account, &listed, listed_at);
        }
        let began = Instant::now();
        loop {
            let order = self.arrivals.order(account);
            let open = pairing::is_arrival_pending(&seen.snapshot, &order, Timestamp::now());
            if !open || began.elapsed() > EVENTS_WITHIN {
                return order;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Writes the row, then moves the files. Returns false if no other claim may follow.
    fn take(
        &self,
        row: &AccountRow,
        take: &PlannedClaim,
        begins: bool,
        looked: &mut Looked,
    ) -> Result<bool, IntakeError> {
        let (account, claim, known) = (&row.id, take.claim(), &take.values);
        let hearing = self.hearing.get();
        let mut warnings =
            hearing.map(|hearing| hearing.warnings(account, take)).unwrap_or_default();
        let (rule, contact) = (&row.recipients, row.email.as_deref());
        let mail = known.client_email.as_deref().map(|named| recipient(rule, contact, named));
        let mail = mail.unwrap_or_default();
        warnings.extend(mail.warning);
        let new = NewImport {
            account,
            manifest: &take.manifest.name,
            data_file: known.data_file.as_deref(),
            data_type: known.data_type,
            client_email: mail.address.as_deref(),
            stem: &|import| take.stem(import),
            origin: Origin::Claim(claim.clone()),
            refusal: take.data.as_ref().err(),
            warnings: &warnings,
            received_at: state::now(),
        };
        let (n, import) = self.insert(&new)?;
        let claiming = self.execute(account, &import, &claim, begins)?;
        Ok(self.count_in(account, n, &import, &claiming, looked))
    }

    /// Completes the claims that a crash or the host interrupted. Returns false if no other claim
    /// may follow.
    fn finish_claims(&self, account: &AccountId, looked: &mut Looked) -> Result<bool, IntakeError> {
        let rows: Vec<ImportRow> = self.state.read(|tx| imports::claiming(tx, account))?;
        for row in rows {
            let Origin::Claim(claim) = &row.origin else { continue };
            let claiming = self.execute(account, &row.id, claim, false)?;
            if !self.count_in(account, row.n, &row.id, &claiming, looked) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Adds a claim's result to `looked`. Returns false if no other claim may follow, because the
    /// order of manifests would change.
    fn count_in(
        &self,
        account: &AccountId,
        n: i64,
        import: &ImportId,
        claiming: &Claiming,
        looked: &mut Looked,
    ) -> bool {
        match claiming {
            Claiming::Queued { begun } => {
                looked.queued.push(self.queued(account.clone(), n, import.clone()));
                looked.begun |= begun;
            }
            // Its manifest may be first again once its upload has ended.
            Claiming::TakenBack => {
                looked.look_again(CHANGED_AGAIN);
                return false;
            }
            Claiming::Unfinished => {
                looked.look_again(TRY_AGAIN);
                return false;
            }
        }
        true
    }

    /// Makes the queue's entry; the weight follows from the spooled data file's size.
    pub(super) fn queued(&self, account: AccountId, n: i64, id: ImportId) -> Queued {
        let weight = Weight::of(spool::spooled_bytes(&self.layout, &id));
        Queued { account, n, id, weight }
    }

    fn execute(
        &self,
        account: &AccountId,
        import: &ImportId,
        claim: &Claim,
        begins: bool,
    ) -> Result<Claiming, IntakeError> {
        let began = Timestamp::now();
        let claimed = match claim.execute(&self.layout, account, import, &self.opener) {
            Ok(_) => Claimed::Whole,
            Err(
                error @ (ClaimError::Gone { .. }
                | ClaimError::Changed { .. }
                | ClaimError::StillWritten { .. }),
            ) => {
                tracing::info!(%account, %import, "not claimed: {}", chain(&error));
                self.state.write(|tx| imports::undo_insert(tx, import))?;
                return Ok(Claiming::TakenBack);
            }
            Err(error @ ClaimError::Stranded { .. }) => {
                tracing::warn!(%account, %import, "{}", chain(&error));
                let detail = "the data file was changed while it was being taken";
                Claimed::Stranded(Failure::new(FailureText::Unreadable, detail))
            }
            Err(error) => {
                tracing::error!(%account, %import, "cannot claim: {}", chain(&error));
                return Ok(Claiming::Unfinished);
            }
        };
        let begun = self.claimed(account, import, claim, &claimed, begins)?;
        self.arrivals.forget(account, &claim.manifest.name);
        if let Some(hearing) = self.hearing.get() {
            let files = [claim.data.as_ref(), Some(&claim.manifest)];
            let names = files.into_iter().flatten().map(|file| file.name.as_str());
            hearing.claimed(account, names, began);
        }
        Ok(Claiming::Queued { begun })
    }
}

/// The manifest cache of every account.
pub(super) type Memories = HashMap<AccountId, ManifestCache>;
