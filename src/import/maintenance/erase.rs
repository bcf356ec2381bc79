//! Takes away all that there is of one account; one line of the activity log stays, which says so.
//!
//! It is safe to be cut off anywhere: what says that there is something to erase, the account's
//! rows, goes last, and the same command goes on. No import of the account runs by then: one that
//! the sidecar is at is waited for, and none of the others begins.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::account::AccountId;
use crate::admission::{Admission, AdmissionError};
use crate::import::{Engine, ImportRow};
use crate::import_id::ImportId;
use crate::provision::{self, ProvisionError};
use crate::registry::{self, Registry};
use crate::report::{Failure, FailureText, ImportState, Report};
use crate::spool::{self, SpooledError};
use crate::state;
use crate::state::imports::{self, Origin};
use crate::state::{Alone, NotAlone, Transaction, account_data};
use crate::store;

/// How long to wait before asking again whether the sidecar has ended an import.
const AGAIN: Duration = Duration::from_millis(200);

/// Why an account is not erased, or not wholly.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// There is nothing of it.
    #[error("there is nothing of an account {0}")]
    Nothing(AccountId),
    /// Somebody queued an import of it meanwhile.
    #[error("an import of account {0} was queued meanwhile")]
    Queued(AccountId),
    /// Nobody can tell whether the sidecar runs.
    #[error(transparent)]
    NotAlone(#[from] NotAlone),
    /// Its keys still work, or its user and folders can't be removed.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// The host can't be looked at.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    /// The registry's.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// Its spooled files can't be removed.
    #[error(transparent)]
    Spool(#[from] SpooledError),
    /// The store's.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The state database's.
    #[error(transparent)]
    State(#[from] state::Error),
}

/// Whether an import of the account may still be at work.
enum Imports {
    Running(ImportId),
    Stopped,
}

impl Engine {
    /// Whether there is anything of `account`: by the registry, the state database, the store, or this
    /// host.
    ///
    /// # Errors
    /// The databases', or the host can't be looked at.
    pub fn knows(&self, registry: &Registry, account: &AccountId) -> Result<bool, EraseError> {
        let mut rows = false;
        self.state.read(|tx| {
            account_data::each_row(tx, account, |table, row| {
                rows |= table != "activity" || row["action"] != "account.erased";
                Ok::<_, state::Error>(())
            })
        })?;
        let approved = registry.read(|tx| registry::accounts::get(tx, account))?.is_some();
        Ok(rows
            || approved
            || self.layout.account(account).exists()
            || self.config.paths.data().join(account).exists()
            || provision::is_left(&self.config, account)?)
    }

    /// Takes away all that there is of `account`. `waiting` hears of each import that is waited
    /// for. The caller holds the lock that keeps ingests apart. Returns how many rows of which
    /// tables went.
    ///
    /// # Errors
    /// What could not be taken away; done again, it goes on.
    pub fn erase(
        &self,
        registry: &Registry,
        account: &AccountId,
        now: Timestamp,
        waiting: &mut dyn FnMut(&ImportId),
    ) -> Result<Vec<(String, usize)>, EraseError> {
        if !self.knows(registry, account)? {
            return Err(EraseError::Nothing(account.clone()));
        }
        // Nothing is uploaded any more.
        Admission { config: &self.config, registry }.shut_out(&self.state, now, account)?;
        self.stop_imports(account, now, waiting)?;
        let imports: HashSet<ImportId> =
            self.state.read(|tx| imports::ids_of(tx, account))?.into_iter().collect();
        for (import, _) in spool::list(&self.layout)? {
            if imports.contains(&import) {
                spool::discard(&self.layout, &import)?;
            }
        }
        self.store.erase(account)?;
        let removed = self.state.write(|tx| {
            let left: Vec<ImportRow> = imports::unfinished_of(tx, account)?;
            match left.first() {
                Some(_) => Err(EraseError::Queued(account.clone())),
                None => Ok(account_data::erase(tx, account, now)?),
            }
        })?;
        registry.write(|tx| registry::accounts::remove(tx, account))?;
        self.state.checkpoint()?;
        tracing::info!(%account, "erased: {removed:?}");
        Ok(removed)
    }

    fn stop_imports(
        &self,
        account: &AccountId,
        now: Timestamp,
        waiting: &mut dyn FnMut(&ImportId),
    ) -> Result<(), EraseError> {
        let mut told = None;
        loop {
            // Without a sidecar what runs was cut off, and none begins while this is held.
            let alone = match Alone::take(&self.config.paths.state, Duration::ZERO) {
                Err(NotAlone::Running { .. }) => None,
                alone => Some(alone?),
            };
            let stopped = self.state.write(|tx| set_aside(tx, account, alone.is_some(), now))?;
            let Imports::Running(import) = stopped else { return Ok(()) };
            if told.as_ref() != Some(&import) {
                waiting(&import);
                told = Some(import);
            }
            drop(alone);
            std::thread::sleep(AGAIN);
        }
    }
}

/// Ends the account's imports unrun, unless the sidecar is at one.
fn set_aside(
    tx: &Transaction<'_>,
    account: &AccountId,
    alone: bool,
    now: Timestamp,
) -> state::Result<Imports> {
    let rows: Vec<ImportRow> = imports::unfinished_of(tx, account)?;
    let at_work = |row: &&ImportRow| {
        row.state == ImportState::Running && row.origin != Origin::Ingest && !alone
    };
    if let Some(row) = rows.iter().find(at_work) {
        return Ok(Imports::Running(row.id.clone()));
    }
    for row in &rows {
        let failure = Failure::new(FailureText::Infra, "the account is being erased");
        let report = Report {
            state: ImportState::Failed,
            finished_at: Some(now),
            failure: Some(failure),
            ..Report::queued(&row.manifest, row.received_at).of(&row.id, account)
        };
        imports::set_aside(tx, &row.id, &report, now)?;
    }
    Ok(Imports::Stopped)
}
