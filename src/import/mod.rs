//! Imports: from a scan of an account's incoming to a finished report.
//!
//! [`Importer`] composes the tasks. Each task is a folder of functions. They use the immutable
//! [`Context`] and the task's own memory:
//!
//! | folder | task |
//! |---|---|
//! | `intake` | scans incoming, claims pairs, queues their imports |
//! | `run` | picks the next import, reads it into the store, writes its answer, finishes it |
//! | `upload_audit` | reads the SFTP server's log, warns of incomplete uploads |
//! | `local` | the same pipeline on local files: `check` and `ingest` |
//! | `maintenance` | sweep, restore, export and erasure of an account, upgrade |
//!
//! The functions that make decisions are in `run::decide`, `run::queue` and
//! [`spool::pairing`](crate::spool::pairing). They are pure.

mod answer_locks;
mod context;
mod current_report;
mod intake;
mod local;
mod maintenance;
mod property_types;
mod row;
mod run;
#[cfg(test)]
mod tests;
mod upload_audit;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

pub use self::context::Context;
pub use self::current_report::current_report;
use self::intake::scanner::{IntakeMemory, Scanner};
pub use self::intake::survey::Survey;
pub use self::intake::{IntakeError, ScanOutcome};
pub use self::local::error_folder::ErrorFolder;
pub use self::local::{LocalError, LocalPair, check, ingest};
pub use self::maintenance::SweepError;
pub use self::maintenance::after_restore::{ReconcileError, Reconciliation, reconcile};
pub use self::maintenance::erase::{EraseError, erase, is_known};
pub use self::maintenance::export::{ExportError, ExportListing, ListedFile, export};
pub use self::maintenance::upgrade::finish_upgrade;
pub use self::row::ImportRow;
use self::run::RunMemory;
pub use self::run::answer::ResultsAttachments;
pub use self::run::progress::{Monitor, ProgressSnapshot};
pub use self::run::queue::{Queue, Queued, Weight};
pub use self::run::transitions::{RetryError, retry};
pub use self::run::{RunError, RunOutcome};
pub use self::upload_audit::{OnSessionEnd, UploadAudit};
use crate::account::AccountId;
use crate::config::Config;
use crate::import_id::ImportId;
use crate::spool::Arrivals;
use crate::state;

/// Imports uploads. This type has the import tasks of the daemon, and the data that the tasks keep.
#[derive(Debug)]
pub struct Importer {
    pub context: Context,
    intake: IntakeMemory,
    runs: RunMemory,
    audit: Option<Arc<UploadAudit>>,
}

impl Importer {
    /// Opens the state database and store of `config`, without an audit of uploads.
    pub fn open(config: Arc<Config>) -> state::Result<Self> {
        Ok(Self::new(Context::open(config)?, Arc::default(), None))
    }

    /// Makes an importer. `arrivals` is the order of manifests, which the watcher records.
    pub fn new(context: Context, arrivals: Arc<Arrivals>, audit: Option<Arc<UploadAudit>>) -> Self {
        let intake = IntakeMemory::new(arrivals);
        Self { context, intake, runs: RunMemory::default(), audit }
    }

    /// Reads the accounts and unfinished imports from the state database. See
    /// [`intake::survey::survey`].
    pub fn survey(&self, known: Option<i64>, scan_all: bool) -> state::Result<Option<Survey>> {
        intake::survey::survey(self.scanner(), known, scan_all)
    }

    /// Scans `account`'s incoming and claims every pair that is ready. See [`intake::scan`].
    pub fn scan(&self, account: &AccountId, may_begin: bool) -> Result<ScanOutcome, IntakeError> {
        intake::scan(self.scanner(), account, may_begin)
    }

    /// Runs one queued import to its end. A panic makes the import fail.
    pub fn run(
        &self,
        import: &ImportId,
        monitor: &Monitor,
        wake_relay: &dyn Fn(),
    ) -> Result<RunOutcome, RunError> {
        run::run_guarded(&self.context, &self.runs, import, monitor, wake_relay)
    }

    /// Returns whether an import began with its claim but does not run yet.
    pub fn has_early_starts(&self) -> bool {
        !self.runs.early_starts.is_empty()
    }

    /// Requeues the imports that began with their claim but do not run yet.
    pub fn requeue_early_starts(&self) -> state::Result<()> {
        run::early_start::requeue(&self.context.state, &self.runs.early_starts)
    }

    /// Counts a run of `import` that ended in an error. Returns the pause before the next run.
    pub fn pause_after_error(&self, import: &ImportId) -> Duration {
        self.runs.retries.pause_after_error(import)
    }

    /// Extends every import's retry window by `held`, the time for which the queue was held.
    pub fn extend_retry_windows(&self, held: Duration) {
        self.runs.retries.extend(held);
    }

    /// Writes the progress reports of unfinished imports. `running` has the running imports.
    /// Returns whether any milestone was enqueued.
    pub fn report_progress(&self, running: &[(ImportId, Arc<Monitor>)]) -> state::Result<bool> {
        run::progress_report::run_round(&self.context, &self.runs.progress_reports, running)
    }

    /// Removes all data whose retention has ended at `now`.
    pub fn sweep(&self, now: Timestamp) -> Result<(), SweepError> {
        maintenance::spool_cleanup::sweep(&self.context, self.audit.as_deref(), now)
    }

    fn scanner(&self) -> Scanner<'_> {
        Scanner {
            context: &self.context,
            memory: &self.intake,
            early_starts: &self.runs.early_starts,
            audit: self.audit.as_deref(),
        }
    }
}
