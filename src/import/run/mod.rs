//! Runs one import: begins it, reads and stores its data, writes its answer into results/ and
//! finishes it.
//!
//! An interrupted run is repeated from the start. The store commits an import only once, results/
//! gets the same answer by a rename, and the finishing transaction happens once.

pub mod answer;
mod decide;
pub mod early_start;
pub mod error_files;
mod input;
mod milestone_log;
pub mod pipeline;
pub mod progress;
pub mod progress_report;
pub mod queue;
pub mod retries;
pub mod store_check;
pub mod transitions;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use self::answer::{ErrorTemps, ResultsOutput};
use self::decide::{RetryDecision, StartDecision};
use self::early_start::EarlyStarts;
use self::pipeline::{DataSource, ImportOutcome, StopSignal, StoreTarget};
use self::progress::Monitor;
use self::progress_report::ProgressReports;
use self::retries::Retries;
use super::context::Context;
use super::property_types;
use super::row::{self, ImportRow, running_report};
use crate::import_id::ImportId;
use crate::manifest::Manifest;
use crate::outbox;
use crate::report::{Failure, FailureText, ImportState};
use crate::sanitize::chain;
use crate::spool::{self, Results, ResultsError, UnpublishedFile};
use crate::state::{self, imports};
use crate::store;

/// The outcome of a run of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// The import completed or failed, and its answer was written.
    Finished,
    /// The run was asked to stop, and the import was queued again.
    Stopped,
    /// The host failed. The import runs again after this duration.
    Retry(Duration),
}

/// The reason why an import could be neither finished nor answered. Such an import stays in the
/// queue.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    State(#[from] state::Error),
    #[error("the state database has no import {0}")]
    Unknown(ImportId),
    #[error(transparent)]
    Transition(#[from] outbox::Error),
    /// The store can't be queried. Therefore it is unknown whether the store has the import.
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("cannot write the answer into results/")]
    Results(#[from] ResultsError),
    /// The panic message was printed on standard error.
    #[error("a bug in sftp-import ended the import and the answer to it")]
    Panicked,
}

/// Data that runs keep for later runs. This data is lost at a restart.
#[derive(Debug, Default)]
pub struct RunMemory {
    pub retries: Retries,
    pub early_starts: EarlyStarts,
    pub progress_reports: ProgressReports,
}

/// Calls [`run`], and converts a panic to a failure of the import.
pub fn run_guarded(
    context: &Context,
    memory: &RunMemory,
    id: &ImportId,
    monitor: &Monitor,
    wake_relay: &dyn Fn(),
) -> Result<RunOutcome, RunError> {
    // No lock is held during the import, so a panic leaves no incomplete change.
    let ran = catch_unwind(AssertUnwindSafe(|| run(context, memory, id, monitor, wake_relay)));
    ran.unwrap_or_else(|_| {
        let row = find(context, id)?;
        tracing::error!(account = %row.account, import = %id, "a bug in sftp-import ended the import");
        let failure = Failure::new(FailureText::Internal, "the log of the server shows the cause");
        let finished = finish(context, memory, &row, None, ImportOutcome::failed(failure), None);
        discount_start_on_error(context, &row, finished)
    })
}

/// Runs one queued import to its end. An import that has ended is left unchanged, because a survey
/// with an older view may have queued it again. If an error occurs, the import keeps its state.
fn run(
    context: &Context,
    memory: &RunMemory,
    id: &ImportId,
    monitor: &Monitor,
    wake_relay: &dyn Fn(),
) -> Result<RunOutcome, RunError> {
    let row = find(context, id)?;
    if matches!(row.state, ImportState::Completed | ImportState::Failed) {
        return Ok(RunOutcome::Finished);
    }
    let (row, start) = match memory.early_starts.adopt(id) {
        true => (row, StartDecision::Run),
        false => begin(context, row)?,
    };
    wake_relay();
    let outcome = match start {
        StartDecision::Run => import(context, memory, &row, monitor),
        StartDecision::Answer(failure) | StartDecision::SetAside(failure) => {
            clear_store(context, &row);
            finish(context, memory, &row, None, ImportOutcome::failed(failure), None)
        }
    };
    discount_start_on_error(context, &row, outcome)
}

/// Begins an import, and decides whether the import is read, answered or set aside.
fn begin(context: &Context, row: ImportRow) -> Result<(ImportRow, StartDecision), RunError> {
    let now = state::now();
    let started_at = row.started_at.unwrap_or(now);
    let start = store_check::decide_start(context, &row)?;
    let report = (start == StartDecision::Run).then(|| running_report(&row, started_at));
    if context.state.write(|tx| transitions::begin(tx, &row, now, report.as_ref()))? {
        milestone_log::log_picked_up(&row, now);
    }
    Ok((ImportRow { started_at: Some(started_at), ..row }, start))
}

/// Undoes the count of the start if the run ended in an error. An error of the host must not set
/// the import aside, because the import may already be stored.
fn discount_start_on_error(
    context: &Context,
    row: &ImportRow,
    outcome: Result<RunOutcome, RunError>,
) -> Result<RunOutcome, RunError> {
    if outcome.is_err() {
        // If this transaction fails too, the error of the run is reported.
        let _ = context.state.write(|tx| imports::set_stopped(tx, &row.id));
    }
    outcome
}

/// Removes uncommitted data of interrupted runs from the store, for an import that will not run
/// again.
fn clear_store(context: &Context, row: &ImportRow) {
    if row.starts > 0
        && let Err(error) = context.store.abandon(&row.account, &row.id)
    {
        tracing::warn!(account = %row.account, import = %row.id,
            "cannot remove the uncommitted data of an interrupted run: {}", chain(&error));
    }
}

fn find(context: &Context, id: &ImportId) -> Result<ImportRow, RunError> {
    row::find(&context.state, id)?.ok_or_else(|| RunError::Unknown(id.clone()))
}

/// Reads the import's data into the store. Then finishes the import, unless it was stopped or must
/// run again.
fn import(
    context: &Context,
    memory: &RunMemory,
    row: &ImportRow,
    monitor: &Monitor,
) -> Result<RunOutcome, RunError> {
    let limits = context.config.limits_of(&row.account);
    let mut output = ResultsOutput::new(&context.layout, row, limits.max_results);
    let (manifest, outcome) = match input::open(context, row, monitor) {
        Err(failure) => (None, Ok(ImportOutcome::failed(failure))),
        Ok((manifest, data, reader)) => {
            let unchanged = || input::check_unchanged(row, &data);
            let source = DataSource {
                manifest: &manifest,
                data: reader,
                unchanged: &unchanged,
                limits,
                processing_time: row.started_at.unwrap_or(row.received_at).as_second(),
            };
            let target =
                StoreTarget { store: &context.store, account: &row.account, import: &row.id };
            let outcome = pipeline::run(source, Some(target), &mut output, monitor);
            (Some(manifest), outcome)
        }
    };
    let temps = output.into_temps();
    match outcome {
        Err(StopSignal) => {
            context.state.write(|tx| imports::set_stopped(tx, &row.id))?;
            Ok(RunOutcome::Stopped)
        }
        Ok(outcome) => match retry_pause(context, &memory.retries, row, &outcome)? {
            Some(pause) => Ok(RunOutcome::Retry(pause)),
            None => finish(context, memory, row, manifest.as_ref(), outcome, Some(temps)),
        },
    }
}

/// Returns the pause before the next run, if the host failed and the retry window is open. The
/// window begins with the first failure in a row.
fn retry_pause(
    context: &Context,
    retries: &Retries,
    row: &ImportRow,
    outcome: &ImportOutcome,
) -> Result<Option<Duration>, RunError> {
    let failed = outcome.failure.as_ref().filter(|f| f.message == FailureText::Infra);
    let Some(failure) = failed else { return Ok(None) };
    let tries = retries.count(&row.id);
    let window = context.config.imports.retry_for.get();
    match decide::after_host_failure(tries.count, tries.since.elapsed(), window) {
        RetryDecision::GiveUp => Ok(None),
        RetryDecision::Retry(pause) => {
            crate::metrics::count_host_failure();
            tracing::warn!(account = %row.account, import = %row.id, ?pause,
                "the host failed during the import, which will run again: {}", failure.detail);
            // The start is not counted, because the import did not cause the failure.
            context.state.write(|tx| imports::set_stopped(tx, &row.id))?;
            Ok(Some(pause))
        }
    }
}

/// Writes the answer into results/ and finishes the import.
fn finish(
    context: &Context,
    memory: &RunMemory,
    row: &ImportRow,
    manifest: Option<&Manifest>,
    outcome: ImportOutcome,
    temps: Option<ErrorTemps>,
) -> Result<RunOutcome, RunError> {
    let begun = running_report(row, row.started_at.unwrap_or(row.received_at));
    let (store, account, import) = (&context.store, &row.account, &row.id);
    let mut outcome = store_check::prefer_committed(store, account, import, outcome)?;
    let properties = std::mem::take(&mut outcome.properties);
    let mut report = outcome.report(begun, manifest, state::now());
    property_types::warn(&context.state, account, &mut report, &properties)?;
    let _final_answer = memory.progress_reports.begin_final_answer(import);
    // Copying large files takes long, and claims of the account wait for this lock.
    temps.iter().flatten().flatten().try_for_each(UnpublishedFile::sync)?;
    let _lock = context.answer_locks.lock(account);
    // A later import may have the stem by now, so the stem is read again.
    let row = &ImportRow { stem: find(context, import)?.stem, ..row.clone() };
    match Results::open(&context.layout, account) {
        Ok(folder) => answer::publish(&folder, row, &mut report, temps)?,
        // The account was removed during the run, so no partner can read an answer.
        Err(error) if answer::is_missing(&error) => {
            tracing::warn!(%account, %import,
                "the answer is in the state database only: {}", chain(&error))
        }
        Err(error) => return Err(error.into()),
    }
    context.state.write(|tx| {
        property_types::record(tx, account, &report, &properties)?;
        transitions::finish(tx, row, &report)
    })?;
    memory.retries.forget(import);
    milestone_log::log_end(row, &report);
    if report.state == ImportState::Completed
        && context.config.retention_of(account).completed_uploads.is_zero()
        && let Err(error) = spool::discard(&context.layout, import)
    {
        tracing::warn!(%account, %import, "cannot remove the spooled files: {}", chain(&error));
    }
    Ok(RunOutcome::Finished)
}
