//! Erases all data of one account. One line of the activity log remains, which records it.
//!
//! It can be interrupted anywhere and repeated: the account's rows, which show that there is
//! something to erase, are removed last. Before anything is removed, it waits for the import that
//! the daemon is running, and no other import of the account begins.

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
use crate::state::{InstanceLock, InstanceLockError, Transaction, account_data};
use crate::store;

/// How often to check whether the daemon has ended an import.
const AGAIN: Duration = Duration::from_millis(200);

/// Why an account is not erased, or not completely.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    #[error("there is nothing of an account {0}")]
    Nothing(AccountId),
    #[error("an import of account {0} was queued while it was being erased")]
    Queued(AccountId),
    /// It is unknown whether the daemon runs.
    #[error(transparent)]
    Lock(#[from] InstanceLockError),
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    #[error(transparent)]
    Registry(#[from] registry::Error),
    #[error(transparent)]
    Spool(#[from] SpooledError),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    State(#[from] state::Error),
}

/// Whether an import of the account is still running.
enum Imports {
    Running(ImportId),
    Stopped,
}

impl Engine {
    /// Whether the registry, the state database, the store or this host has anything of `account`.
    pub fn knows(&self, registry: &Registry, account: &AccountId) -> Result<bool, EraseError> {
        let mut rows = false;
        self.state.read(|tx| {
            account_data::for_each_row(tx, account, |table, row| {
                rows |= table != "activity" || row["action"] != "account.erased";
                Ok::<_, state::Error>(())
            })
        })?;
        let approved = registry.read(|tx| registry::accounts::get(tx, account))?.is_some();
        Ok(rows
            || approved
            || self.layout.account(account).exists()
            || self.config.paths.data().join(account).exists()
            || provision::has_leftovers(&self.config, account)?)
    }

    /// Erases all data of `account`. `waiting` is called for each import that it waits for. The
    /// caller holds the lock that serialises ingests. Returns the number of rows removed per table.
    /// After an error it can be repeated.
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
        // Ends uploads.
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
            // Without a daemon a "running" import was interrupted, and this lock keeps a daemon
            // from starting.
            let alone = match InstanceLock::acquire(&self.config.paths.state, Duration::ZERO) {
                Err(InstanceLockError::Running { .. }) => None,
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

/// Ends the account's waiting imports without a run, unless the daemon is running one.
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
        imports::fail_unfinished(tx, &row.id, &report, now)?;
    }
    Ok(Imports::Stopped)
}
