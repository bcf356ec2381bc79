//! State transitions of an import in the state database: begin, finish, retry. Each is one
//! transaction.

use jiff::Timestamp;

use crate::import::row::ImportRow;
use crate::import_id::ImportId;
use crate::outbox::{self, Milestone, Recipients};
use crate::report::{ImportState, Report};
use crate::spool::Layout;
use crate::state::imports::{self, unfinished};
use crate::state::{self, State, Transaction, accounts, activity};

/// Why an import can't change its state in the state database.
/// Returns who gets the milestones of this import.
fn recipients(tx: &Transaction<'_>, row: &ImportRow) -> state::Result<Recipients> {
    // The account may have been removed since; its partner still gets the answer.
    let account = accounts::get(tx, &row.account)?;
    let (contact, webhook) = account.map_or((None, None), |a| (a.email, a.webhook));
    Ok(Recipients { client_email: row.client_email.clone(), contact, webhook })
}

/// Sets the import to running and enqueues `picked_up` once per import. Returns whether this call
/// enqueued it.
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

/// Enqueues `still_processing`. Returns whether there was no such milestone of the same time.
pub fn enqueue_still_processing(
    tx: &Transaction<'_>,
    row: &ImportRow,
    at: Timestamp,
    report: &Report,
) -> Result<bool, outbox::Error> {
    outbox::enqueue(tx, at, Milestone::StillProcessing, report, &recipients(tx, row)?)
}

/// Why an import can't be run again.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    #[error("import {0} has not failed; only a failed import can run again")]
    NotFailed(ImportId),
    /// It was never read: its data file was missing, or its manifest was wrong.
    #[error("import {0} was refused unread; the partner must upload again, with a new manifest")]
    Refused(ImportId),
    #[error(
        "the uploaded files of import {0} are not kept any more (retention.failed-uploads); the \
         partner must upload them again, with a new manifest"
    )]
    NotSpooled(ImportId),
    #[error(transparent)]
    State(#[from] state::Error),
}

/// Requeues a failed import.
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
        // Checked in the transaction: the sweep removes files in a transaction of its own.
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
