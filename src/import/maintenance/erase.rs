//! Erases all data of one account, except for one line in the activity log that records the
//! erasure.
//!
//! The erasure can be interrupted at any point and repeated: the account's rows, which show that
//! data remains, are removed last. Before the removal begins, the erasure waits for the import that
//! the daemon is running. No other import of the account begins.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::account::AccountId;
use crate::admission::{Admission, AdmissionError};
use crate::import::context::Context;
use crate::import::row::ImportRow;
use crate::import_id::ImportId;
use crate::provision::{self, ProvisionError};
use crate::registry::{self, Registry};
use crate::report::{Failure, FailureText, ImportState, Report};
use crate::spool::{self, SpooledError};
use crate::state::imports::{self, Origin};
use crate::state::{self, InstanceLock, InstanceLockError, Transaction, account_data};
use crate::store;

/// The interval between two checks whether the daemon has ended an import.
const AGAIN: Duration = Duration::from_millis(200);

/// The reason why an account was not erased, or not erased completely.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    #[error("no data of an account {0} was found")]
    Nothing(AccountId),
    #[error("an import of account {0} was queued while it was being erased")]
    Queued(AccountId),
    /// The check whether the daemon is running failed.
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

/// Returns whether the registry, the state database, the store or the folders of this host have
/// data of `account`.
pub fn is_known(
    context: &Context,
    registry: &Registry,
    account: &AccountId,
) -> Result<bool, EraseError> {
    let mut rows = false;
    context.state.read(|tx| {
        account_data::for_each_row(tx, account, |table, row| {
            rows |= table != "activity" || row["action"] != "account.erased";
            Ok::<_, state::Error>(())
        })
    })?;
    let approved = registry.read(|tx| registry::accounts::get(tx, account))?.is_some();
    Ok(rows
        || approved
        || context.layout.account(account).exists()
        || context.config.paths.data().join(account).exists()
        || provision::has_leftovers(&context.config, account)?)
}

/// Erases all data of `account`. `waiting` is called for each running import before the wait for
/// its end. The caller holds the lock that serialises ingests. Returns the number of removed rows
/// per table. The function can be repeated after an error.
pub fn erase(
    context: &Context,
    registry: &Registry,
    account: &AccountId,
    now: Timestamp,
    waiting: &mut dyn FnMut(&ImportId),
) -> Result<Vec<(String, usize)>, EraseError> {
    if !is_known(context, registry, account)? {
        return Err(EraseError::Nothing(account.clone()));
    }
    // This step ends the account's sessions, and therefore its uploads.
    Admission::of_root(&context.config, registry).shut_out(&context.state, now, account)?;
    stop_imports(context, account, now, waiting)?;
    let imports: HashSet<ImportId> =
        context.state.read(|tx| imports::ids_of(tx, account))?.into_iter().collect();
    for (import, _) in spool::list(&context.layout)? {
        if imports.contains(&import) {
            spool::discard(&context.layout, &import)?;
        }
    }
    context.store.erase(account)?;
    let removed = context.state.write(|tx| {
        let left: Vec<ImportRow> = imports::unfinished_of(tx, account)?;
        match left.first() {
            Some(_) => Err(EraseError::Queued(account.clone())),
            None => Ok(account_data::erase(tx, account, now)?),
        }
    })?;
    registry.write(|tx| registry::accounts::remove(tx, account))?;
    context.state.checkpoint()?;
    tracing::info!(%account, "the account's data is erased: {removed:?}");
    Ok(removed)
}

fn stop_imports(
    context: &Context,
    account: &AccountId,
    now: Timestamp,
    waiting: &mut dyn FnMut(&ImportId),
) -> Result<(), EraseError> {
    let mut reported = None;
    loop {
        // If no daemon is running, an import in the state "running" was interrupted. This lock
        // prevents the start of a daemon.
        let alone = match InstanceLock::acquire(&context.config.paths.state, Duration::ZERO) {
            Err(InstanceLockError::Running { .. }) => None,
            alone => Some(alone?),
        };
        let running = context.state.write(|tx| set_aside(tx, account, alone.is_some(), now))?;
        let Some(import) = running else { return Ok(()) };
        if reported.as_ref() != Some(&import) {
            waiting(&import);
            reported = Some(import);
        }
        drop(alone);
        std::thread::sleep(AGAIN);
    }
}

/// Ends the account's waiting imports without a run. If the daemon is running an import of the
/// account, ends no import and returns the running one.
fn set_aside(
    tx: &Transaction<'_>,
    account: &AccountId,
    alone: bool,
    now: Timestamp,
) -> state::Result<Option<ImportId>> {
    let rows: Vec<ImportRow> = imports::unfinished_of(tx, account)?;
    let at_work = |row: &&ImportRow| {
        row.state == ImportState::Running && row.origin != Origin::Ingest && !alone
    };
    if let Some(row) = rows.iter().find(at_work) {
        return Ok(Some(row.id.clone()));
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
    Ok(None)
}
