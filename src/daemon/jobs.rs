//! The jobs that run on blocking threads, and the results that they return to the supervisor's
//! loop.
//!
//! Invariant: every job returns a result, even if it panics. Without a result, a scan or an import
//! would occupy its slot forever.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::free_space::{self, ActivityEntry, DiskSpace};
use crate::account::AccountId;
use crate::import::{
    Importer, IntakeError, Monitor, Queued, RunError, RunOutcome, ScanOutcome, Survey,
};
use crate::import_id::ImportId;
use crate::sanitize::chain;
use crate::state::{self, Transaction, activity};

/// The result of a job on a blocking thread.
pub enum JobResult {
    /// The result of a survey. `None` if the survey panicked.
    Survey(Option<state::Result<Option<Survey>>>),
    Scan(AccountId, Result<ScanOutcome, IntakeError>),
    Run(ActiveRun, Result<RunOutcome, RunError>),
    Sweep,
    Requeued,
    /// The result of a round of progress reports. True if milestones were enqueued.
    Progress(bool),
    /// The measured free space, and the number of lines that were written to the activity log.
    Space(Vec<DiskSpace>, usize),
}

/// An import that is running at present.
#[derive(Clone)]
pub struct ActiveRun {
    pub import: Queued,
    pub since: Instant,
    pub monitor: Arc<Monitor>,
}

pub fn survey(importer: &Importer, known: Option<i64>, scan_all: bool) -> JobResult {
    JobResult::Survey(guarded(|| importer.survey(known, scan_all)))
}

pub fn scan(importer: &Importer, account: AccountId, may_begin: bool) -> JobResult {
    let outcome = guarded(|| importer.scan(&account, may_begin));
    JobResult::Scan(account, outcome.unwrap_or(Err(IntakeError::Panicked)))
}

pub fn run(importer: &Importer, run: ActiveRun, wake_relay: &dyn Fn()) -> JobResult {
    let outcome = guarded(|| importer.run(&run.import.id, &run.monitor, wake_relay));
    JobResult::Run(run, outcome.unwrap_or(Err(RunError::Panicked)))
}

/// Requeues imports that began with their claim, at shutdown and while the queue is held.
pub fn requeue_early_starts(importer: &Importer) -> JobResult {
    if let Some(Err(error)) = guarded(|| importer.requeue_early_starts()) {
        tracing::error!("cannot requeue an import that has just begun: {}", chain(&error));
    }
    JobResult::Requeued
}

pub fn sweep(importer: &Importer) -> JobResult {
    if let Some(Err(error)) = guarded(|| importer.sweep(Timestamp::now())) {
        tracing::error!("cannot sweep the spool: {}", chain(&error));
    }
    JobResult::Sweep
}

pub fn report_progress(importer: &Importer, running: &[(ImportId, Arc<Monitor>)]) -> JobResult {
    let reported = guarded(|| importer.report_progress(running));
    if let Some(Err(error)) = &reported {
        tracing::error!("cannot write progress reports: {}", chain(error));
    }
    JobResult::Progress(matches!(reported, Some(Ok(true))))
}

/// Measures free space, and writes the pending lines to the activity log.
pub fn measure_space(importer: &Importer, pending: Vec<ActivityEntry>) -> JobResult {
    let context = &importer.context;
    let disks = free_space::measure(&free_space::folders(&context.config));
    if pending.is_empty() {
        return JobResult::Space(disks, 0);
    }
    let log = |tx: &Transaction<'_>, line: &ActivityEntry| {
        activity::log(tx, line.at, None, None, line.action, &line.detail)
    };
    let written =
        guarded(|| context.state.write(|tx| pending.iter().try_for_each(|line| log(tx, line))));
    // On a full disk the write may fail; the lines then stay pending.
    JobResult::Space(disks, if matches!(written, Some(Ok(()))) { pending.len() } else { 0 })
}

/// Runs `work`. Returns `None` if `work` panicked. The panic message is printed on standard error.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    // Locks protect the shared state. The users of each lock document the state after a panic.
    catch_unwind(AssertUnwindSafe(work)).ok()
}

#[cfg(test)]
mod tests {
    use super::guarded;

    #[test]
    fn a_panic_in_a_job_returns_an_error() {
        assert_eq!(guarded(|| 1), Some(1));
        assert_eq!(guarded(|| -> i32 { panic!("a panic in a test") }), None);
    }
}
