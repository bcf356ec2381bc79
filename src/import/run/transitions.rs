//! Changes the state of an import in the state database: begin, finish, retry. Each change is one
//! transaction.

use jiff::Timestamp;

use crate::import::row::ImportRow;
use crate::import_id::ImportId;
use crate::outbox::{self, Milestone, Recipients};
use crate::report::{ImportState, Report};
use crate::spool::Layout;
use crate::state::imports::{self, unfinished};
use crate::state::{self, State, Transaction, accounts, activity};

/// Returns the recipients of this import's milestones.
fn recipients(tx: &Transaction<'_>, row: &ImportRow) -> state::Result<Recipients> {
    // The account may have been removed during the import. Its partner still gets the answer.
    let account = accounts::get(tx, &row.account)?;
    let (contact, webhook) = account.map_or((None, None), |a| (a.email, a.webhook));
    Ok(Recipients { client_email: row.client_email.clone(), contact, webhook })
}

/// Sets the state of the import to running. Enqueues `picked_up` once per import. Returns whether
/// this call enqueued `picked_up`.
pub fn begin(
    tx: &Transaction<'_>,
    row: &ImportRow,
    at: Timestamp,
    picked_up: Option<&Report>,
) -> Result<bool, outbox::Error> {
    imports::set_running(tx, &row.id, at)?;
    let Some(report) = picked_up else { return Ok(false) };
    outbox::enqueue(tx, at, Milestone::PickedUp, report, &recipients(tx, row)?)
}

/// Ends the import with `report`: state, counts, activity and deliveries in one transaction.
pub fn finish(tx: &Transaction<'_>, row: &ImportRow, report: &Report) -> Result<(), outbox::Error> {
    let at = report.finished_at.unwrap_or_else(Timestamp::now);
    imports::set_finished(tx, &row.id, report, at)?;
    let milestone = match report.state {
        ImportState::Completed => Milestone::Completed,
        _ => Milestone::Failed,
    };
    outbox::enqueue(tx, at, milestone, report, &recipients(tx, row)?)?;
    Ok(())
}

/// Enqueues `still_processing`. Returns false if the import already has this milestone with the
/// same time.
pub fn enqueue_still_processing(
    tx: &Transaction<'_>,
    row: &ImportRow,
    at: Timestamp,
    report: &Report,
) -> Result<bool, outbox::Error> {
    outbox::enqueue(tx, at, Milestone::StillProcessing, report, &recipients(tx, row)?)
}

/// The reason why an import can't be run again.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    #[error("import {0} has not failed; only a failed import can run again")]
    NotFailed(ImportId),
    /// The import was never read, because its data file was missing or its manifest was wrong.
    #[error(
        "import {0} was refused without being read; the partner must upload again, with a new \
         manifest"
    )]
    Refused(ImportId),
    #[error(
        "the uploaded files of import {0} no longer exist (retention.failed-uploads); the \
         partner must upload them again, with a new manifest"
    )]
    NotSpooled(ImportId),
    #[error(transparent)]
    State(#[from] state::Error),
}

/// Requeues an import that failed.
pub fn retry(
    state: &State,
    layout: &Layout,
    row: &ImportRow,
    at: Timestamp,
) -> Result<(), RetryError> {
    if row.state != ImportState::Failed {
        return Err(RetryError::NotFailed(row.id.clone()));
    }
    state.write(|tx| {
        // This check is in the transaction, because the sweep removes files in its own transaction.
        if row.refusal.is_some() {
            return Err(RetryError::Refused(row.id.clone()));
        }
        if !layout.spooled(&row.id).exists() {
            return Err(RetryError::NotSpooled(row.id.clone()));
        }
        imports::set_retry(tx, &row.id)?;
        unfinished::record_retry(tx, &row.id, at)?;
        activity::log(tx, at, Some(&row.account), Some(&row.id), "import.retried", "")?;
        Ok(())
    })
}
