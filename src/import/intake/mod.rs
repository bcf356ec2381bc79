//! Intake: scans one account's incoming and claims the pairs that are ready.
//!
//! The account is the only input of a scan. A scan completes interrupted claims, lists incoming,
//! decides, writes a row for each claim, and only then moves files. The result does not depend on
//! the trigger of the scan.

mod claims;
mod empty_accounts;
mod quota;
mod readme;
pub mod scanner;
pub mod survey;
mod unclaimed;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use self::claims::ClaimOutcome;
use self::scanner::{IntakeMemory, Scanner};
use crate::account::AccountId;
use crate::files::dir::FolderError;
use crate::import::row::ImportRow;
use crate::import::run::early_start;
use crate::import::run::queue::Queued;
use crate::import_id::ImportId;
use crate::manifest::{Manifest, ManifestErrors, failure_of};
use crate::outbox;
use crate::sanitize::chain;
use crate::spool::pairing;
use crate::spool::{
    self, ArrivalOrder, Incoming, ManifestValues, ParsedManifest, ScanError, ScanResult,
};
use crate::state::imports::{self, Origin};
use crate::state::{self, State, accounts};

/// The pause before the next scan after an error of the host.
const TRY_AGAIN: Duration = Duration::from_secs(10);
/// The pause before the next scan if a file changed during this scan. The event of that change may
/// be lost.
const CHANGED_AGAIN: Duration = Duration::from_secs(1);

/// Within this time, the watcher reads an event that is already in the kernel's queue.
const EVENTS_WITHIN: Duration = Duration::from_millis(20);

/// The result of one scan of an account.
#[derive(Debug, Default)]
pub struct ScanOutcome {
    /// The imports that the scan claimed and queued, in order.
    pub queued: Vec<Queued>,
    /// Whether the first of the queued imports has begun already. Its `picked_up` milestone is then
    /// already enqueued.
    pub has_begun: bool,
    /// The time of the next scan, if no event causes an earlier one.
    pub rescan_after: Option<Duration>,
}

impl ScanOutcome {
    fn rescan_after(&mut self, pause: Duration) {
        self.rescan_after = Some(self.rescan_after.map_or(pause, |earlier| earlier.min(pause)));
    }

    /// Adds the outcome of a claim. Returns false if another claim would change the order of
    /// manifests.
    fn add(&mut self, claim: ClaimOutcome) -> bool {
        match claim {
            ClaimOutcome::Queued { import, has_begun } => {
                self.queued.push(import);
                self.has_begun |= has_begun;
                return true;
            }
            // When its upload has ended, the undone manifest may again be the first of the account.
            ClaimOutcome::Undone => self.rescan_after(CHANGED_AGAIN),
            ClaimOutcome::Unfinished => self.rescan_after(TRY_AGAIN),
        }
        false
    }
}

/// The reason why an account could not be scanned.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    #[error(transparent)]
    Scan(#[from] ScanError),
    #[error(transparent)]
    State(#[from] state::Error),
    #[error(transparent)]
    Begin(#[from] outbox::Error),
    /// The panic message was printed on standard error.
    #[error("a bug in sftp-import ended the scan")]
    Panicked,
}

/// Scans `account`'s incoming and claims every pair that is ready.
///
/// `may_begin` means that the account has no waiting or running import, and that a slot for a light
/// import is free. The first import may then begin in the transaction of its claim.
///
/// # Errors
/// Returns an error if the state database or incoming can't be read. No step is left incomplete.
pub fn scan(
    scanner: Scanner<'_>,
    account: &AccountId,
    may_begin: bool,
) -> Result<ScanOutcome, IntakeError> {
    let Scanner { context, memory, audit, .. } = scanner;
    let mut outcome = ScanOutcome::default();
    let interrupted: Vec<ImportRow> = context.state.read(|tx| imports::claiming(tx, account))?;
    for row in &interrupted {
        let Origin::Claim(claim) = &row.origin else { continue };
        if !outcome.add(claims::execute(scanner, account, (row.n, &row.id), claim, false)?) {
            return Ok(outcome);
        }
    }
    let Some(row) = context.state.read(|tx| accounts::get(tx, account))? else {
        drop(memory.take_manifests(account));
        memory.readmes.forget(account);
        return Ok(outcome);
    };
    let (listed_at, listed) = (Timestamp::now(), Instant::now());
    let Some(incoming) = open(scanner, account)? else { return Ok(outcome) };
    let seen = list(scanner, account, &incoming)?;
    let readme = &context.config.readme;
    if let Some(pause) =
        memory.readmes.keep(readme, &row, &incoming, seen.has_readme || seen.usage.cut)
    {
        outcome.rescan_after(pause);
    }
    for problem in &seen.problems {
        tracing::error!(%account, "{}", chain(problem));
        outcome.rescan_after(TRY_AGAIN);
    }
    if seen.changed {
        outcome.rescan_after(CHANGED_AGAIN);
    }
    let spent = spent_names(&context.state, account, &seen)?;
    quota::report(context, &memory.empty_accounts, account, seen.usage)?;
    let order = order_of_manifests(memory, account, &seen, listed_at);
    let periods = context.config.pairing_of(account);
    let spent = |name: &str| spent.get(name).cloned();
    if let Some(audit) = audit {
        audit.catch_up(account);
    }
    let upload =
        |file: &spool::DirEntry| audit.map(|audit| audit.upload(account, file)).unwrap_or_default();
    let decisions = pairing::decide(&seen.snapshot, &order, periods, spent, upload);
    if let Some(pause) = decisions.rescan_in() {
        outcome.rescan_after(pause.saturating_sub(listed.elapsed()));
    }
    if decisions.claims.is_empty() {
        // This report is made only if there is no claim, so that it delays no claim.
        unclaimed::report(context, &row, &seen)?;
    }
    for take in &decisions.claims {
        let begins = may_begin
            && outcome.queued.is_empty()
            && early_start::is_allowed(&context.config, take);
        if !outcome.add(claims::claim(scanner, &row, take, begins)?) {
            // Later manifests must not overtake this manifest.
            return Ok(outcome);
        }
    }
    let more = seen.unread || seen.usage.cut || decisions.more;
    if seen.unread || (more && !outcome.queued.is_empty()) {
        outcome.rescan_after(Duration::ZERO);
    }
    Ok(outcome)
}

/// Opens the incoming folder of an account. `None` if the account has no folder.
fn open(scanner: Scanner<'_>, account: &AccountId) -> Result<Option<Incoming>, IntakeError> {
    let context = scanner.context;
    match Incoming::open(&context.layout, account, &context.opener) {
        Err(ScanError::Folder(FolderError::Missing { .. })) => Ok(None),
        incoming => Ok(Some(incoming?)),
    }
}

/// Lists the files in the incoming folder of an account.
fn list(
    scanner: Scanner<'_>,
    account: &AccountId,
    incoming: &Incoming,
) -> Result<ScanResult, IntakeError> {
    let Scanner { context, memory, .. } = scanner;
    let limits = context.config.limits_of(account);
    let mut cache = memory.take_manifests(account);
    let seen = incoming
        .scan(&mut cache, limits, |name, bytes| verdict(name, Manifest::parse(bytes, limits)));
    memory.keep_manifests(account, cache);
    let seen = seen?;
    memory.empty_accounts.record(account, seen.empty);
    Ok(seen)
}

/// Converts the parse result of the file `name` to the form that pairing uses.
fn verdict(name: &str, parsed: Result<Manifest, ManifestErrors>) -> ParsedManifest {
    let is_named_so = spool::is_manifest_name(name);
    let errors = match parsed {
        Ok(manifest) if is_named_so => {
            return ParsedManifest::Valid {
                data_type: manifest.data_type,
                data_file: manifest.file_name,
                client_email: manifest.client_email,
            };
        }
        Ok(manifest) => ManifestErrors {
            data_type: Some(manifest.data_type),
            file_name: Some(manifest.file_name),
            client_email: Some(manifest.client_email),
            ..ManifestErrors::default()
        },
        Err(errors) => errors,
    };
    let values = ManifestValues {
        data_type: errors.data_type,
        data_file: errors.file_name.clone(),
        client_email: errors.client_email.clone(),
    };
    if is_named_so {
        return ParsedManifest::Invalid { values, findings: errors.into_failure().detail };
    }
    // JSON files of other kinds may have one of the manifest's mandatory keys.
    if !errors.has_most_mandatory_keys() {
        return ParsedManifest::Foreign;
    }
    let mut findings = vec![spool::naming_advice(name)];
    findings.extend(errors.findings);
    ParsedManifest::Misnamed { values, findings: failure_of(&findings).detail }
}

/// Returns the earlier imports that used the names of the listed manifests.
fn spent_names(
    state: &State,
    account: &AccountId,
    seen: &ScanResult,
) -> state::Result<HashMap<String, ImportId>> {
    let names = || seen.snapshot.manifests.iter().map(|manifest| &manifest.entry.name);
    state.read(|tx| {
        let mut spent = HashMap::new();
        for name in names() {
            let Some(spends) = spool::spent_name(name) else { continue };
            if let Some(import) = imports::find_spender(tx, account, &spends)? {
                spent.insert(name.clone(), import);
            }
        }
        Ok(spent)
    })
}

/// Returns the order in which manifests were completed, as the watcher recorded it. If a manifest
/// has no record yet, waits a moment, because its event is already in the kernel's queue.
fn order_of_manifests(
    memory: &IntakeMemory,
    account: &AccountId,
    seen: &ScanResult,
    listed_at: Timestamp,
) -> ArrivalOrder {
    if !seen.usage.cut && !seen.unread {
        let listed = seen.manifests.iter().map(String::as_str).collect();
        memory.arrivals.keep(account, &listed, listed_at);
    }
    let began = Instant::now();
    loop {
        let order = memory.arrivals.order(account);
        let open = pairing::is_arrival_pending(&seen.snapshot, &order, Timestamp::now());
        if !open || began.elapsed() > EVENTS_WITHIN {
            return order;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
