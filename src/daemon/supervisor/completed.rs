//! Handles the results of blocking jobs.
//!
//! Invariant: no handler waits for a disk or a lock. The handlers log errors and schedule failed
//! work again.

use std::time::{Duration, Instant};

use tokio::task::JoinError;

use super::Supervisor;
use crate::account::AccountId;
use crate::daemon::free_space::{DiskSpace, QueueChange};
use crate::daemon::jobs::{ActiveRun, JobResult};
use crate::daemon::schedule::survey::SurveyRequest;
use crate::import::{IntakeError, RunError, RunOutcome, ScanOutcome, Survey};
use crate::sanitize::chain;
use crate::state;

/// The interval between two sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);
/// The pause after a failed scan.
const RESCAN_AFTER_ERROR: Duration = Duration::from_secs(10);

impl Supervisor {
    /// Handles the result of one blocking job.
    pub(super) fn handle(&mut self, result: Result<JobResult, JoinError>) {
        match result {
            Ok(JobResult::Survey(survey)) => self.handle_survey(survey),
            Ok(JobResult::Scan(account, outcome)) => self.handle_scan(account, outcome),
            Ok(JobResult::Run(run, outcome)) => self.handle_run(run, outcome),
            Ok(JobResult::Space(disks, written)) => self.handle_space(&disks, written),
            Ok(JobResult::Requeued) => self.is_requeuing = false,
            Ok(JobResult::Sweep) => self.sweep_at = Some(Instant::now() + SWEEP_EVERY),
            Ok(JobResult::Progress(deliver)) => {
                self.progress.finish(Instant::now());
                if deliver {
                    self.wake_relay.notify_one();
                }
            }
            // Every job catches its own panics. This error occurs only when the runtime ends.
            Err(error) => tracing::error!("a job did not return a result: {error}"),
        }
    }

    /// Handles a survey: queues the work that other processes added (`account add`, `import retry`)
    /// and the work that a crash or an error left.
    fn handle_survey(&mut self, result: Option<state::Result<Option<Survey>>>) {
        let survey = match result {
            Some(Ok(None)) => return self.surveys.finish_unchanged(),
            Some(Ok(Some(survey))) => survey,
            failed => {
                if let Some(Err(error)) = failed {
                    tracing::error!("cannot survey accounts and imports: {}", chain(&error));
                }
                return self.surveys.fail(Instant::now());
            }
        };
        survey.queued.into_iter().for_each(|import| self.queue.add(import));
        survey.leftover.into_iter().for_each(|account| self.intake.request(account));
        // Watches are set before the scans, so that no upload is missed between both steps.
        let new = match &survey.accounts {
            Some(accounts) => self.watcher.follow(accounts),
            None => self.watcher.renew(&survey.to_scan),
        };
        new.into_iter().chain(survey.to_scan).for_each(|account| self.intake.request(account));
        if self.surveys.finish(survey.version) {
            self.wake_relay.notify_one();
        }
    }

    /// Handles a measurement of free space: holds the queue or releases it.
    pub(super) fn handle_space(&mut self, disks: &[DiskSpace], written: usize) {
        let change = self.free_space.finish(disks, written, Instant::now(), state::now());
        crate::metrics::set_queue_held(self.free_space.is_held());
        if let Some(QueueChange::Released(held)) = change {
            // Only the held time is added to the retry windows. With a whole new window, an import
            // that fills the disk and frees it when it fails would be retried forever.
            self.importer.extend_retry_windows(held);
        }
    }

    fn handle_scan(&mut self, account: AccountId, result: Result<ScanOutcome, IntakeError>) {
        let rescan_after = match result {
            Ok(outcome) => {
                if !outcome.queued.is_empty() {
                    self.progress.request_soon(Instant::now());
                }
                if outcome.has_begun {
                    self.wake_relay.notify_one();
                }
                outcome.queued.into_iter().for_each(|import| self.queue.add(import));
                outcome.rescan_after
            }
            Err(error) => {
                crate::metrics::count_scan_failure();
                tracing::error!(%account, "cannot scan the account: {}", chain(&error));
                // The survey finds imports that the failed scan queued.
                self.surveys.request(SurveyRequest::SURVEY);
                Some(RESCAN_AFTER_ERROR)
            }
        };
        self.intake.finish(&account, Instant::now(), rescan_after);
    }

    fn handle_run(&mut self, run: ActiveRun, result: Result<RunOutcome, RunError>) {
        let import = run.import;
        self.running.remove(&import.account);
        match result {
            Ok(RunOutcome::Finished | RunOutcome::Stopped) => self.queue.finish(&import.account),
            Ok(RunOutcome::Retry(pause)) => self.queue.requeue(import, Instant::now() + pause),
            Err(error) => {
                tracing::error!(account = %import.account, import = %import.id, "{}", chain(&error));
                match error {
                    RunError::Unknown(_) => self.queue.finish(&import.account),
                    _ => {
                        let again = Instant::now() + self.importer.pause_after_error(&import.id);
                        self.queue.requeue(import, again);
                    }
                }
            }
        }
        self.wake_relay.notify_one();
    }
}
