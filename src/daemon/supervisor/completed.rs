//! Handles the results of blocking jobs.
//!
//! Invariant: nothing here waits for a disk or a lock. Errors are logged here, and failed work is
//! scheduled again.

use std::time::{Duration, Instant};

use tokio::task::JoinError;

use super::super::free_space::{Change, Room};
use super::super::jobs::{Done, Run};
use super::super::schedule::survey::Wanted;
use super::Supervisor;
use crate::account::AccountId;
use crate::import::{Ended, IntakeError, Looked, RunError, Survey};
use crate::sanitize::chain;
use crate::state;

/// Interval of the sweep.
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);
/// Pause after a failed scan.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

impl Supervisor {
    /// Handles the result of one job.
    pub(super) fn done(&mut self, done: Result<Done, JoinError>) {
        match done {
            Ok(Done::Survey(surveyed)) => self.surveyed(surveyed),
            Ok(Done::Look(account, looked)) => self.looked(account, looked),
            Ok(Done::Run(run, ended)) => self.ended(run, ended),
            Ok(Done::Space(rooms, told)) => self.measured(&rooms, told),
            Ok(Done::PutBack) => self.putting_back = false,
            Ok(Done::Sweep) => self.sweep_at = Some(Instant::now() + SWEEP_EVERY),
            Ok(Done::Told(deliver)) => {
                self.telling.done(Instant::now());
                if deliver {
                    self.wake_relay.notify_one();
                }
            }
            // Every job catches its own panics; this happens only when the runtime ends.
            Err(error) => tracing::error!("a thread was lost: {error}"),
        }
    }

    /// Handles a survey: queues what other processes changed (`account add`, `import retry`) and
    /// what a crash or an error left.
    fn surveyed(&mut self, surveyed: Option<state::Result<Option<Survey>>>) {
        let survey = match surveyed {
            Some(Ok(None)) => return self.surveys.unchanged(),
            Some(Ok(Some(survey))) => survey,
            failed => {
                if let Some(Err(error)) = failed {
                    tracing::error!("cannot survey accounts and imports: {}", chain(&error));
                }
                return self.surveys.failed(Instant::now());
            }
        };
        survey.queued.into_iter().for_each(|import| self.queue.add(import));
        survey.leftover.into_iter().for_each(|account| self.looks.request(account));
        // Watches are set before the scans, so that no upload is missed in between.
        let new = match &survey.accounts {
            Some(accounts) => self.ears.follow(accounts),
            None => self.ears.renew(&survey.stirred),
        };
        new.into_iter().chain(survey.stirred).for_each(|account| self.looks.request(account));
        if self.surveys.done(survey.version) {
            self.wake_relay.notify_one();
        }
    }

    /// Handles a measurement of free space: holds the queue or releases it.
    pub(super) fn measured(&mut self, rooms: &[Room], told: usize) {
        let change = self.space.done(rooms, told, Instant::now(), state::now());
        crate::metrics::set_queue_held(self.space.is_held());
        if let Some(Change::Released(held)) = change {
            // Only the held time is added to the retry windows. With a whole new window, an import
            // that fills the disk and frees it when it fails would be tried forever.
            self.engine.excuse_troubles(held);
        }
    }

    fn looked(&mut self, account: AccountId, looked: Result<Looked, IntakeError>) {
        let again = match looked {
            Ok(looked) => {
                if !looked.queued.is_empty() {
                    self.telling.soon(Instant::now());
                }
                if looked.begun {
                    self.wake_relay.notify_one();
                }
                looked.queued.into_iter().for_each(|import| self.queue.add(import));
                looked.again
            }
            Err(error) => {
                crate::metrics::count_scan_failure();
                tracing::error!(%account, "cannot scan the account: {}", chain(&error));
                self.surveys.want(Wanted::SURVEY); // finds what the scan has queued
                Some(LOOK_AGAIN)
            }
        };
        self.looks.done(&account, Instant::now(), again);
    }

    fn ended(&mut self, run: Run, ended: Result<Ended, RunError>) {
        let import = run.import;
        self.running.remove(&import.account);
        match ended {
            Ok(Ended::Finished | Ended::Stopped) => self.queue.ended(&import.account),
            Ok(Ended::Again(pause)) => self.queue.put_back(import, Instant::now() + pause),
            Err(error) => {
                tracing::error!(account = %import.account, import = %import.id, "{}", chain(&error));
                match error {
                    RunError::Unknown(_) => self.queue.ended(&import.account),
                    _ => {
                        let again = Instant::now() + self.engine.pause_after_error(&import.id);
                        self.queue.put_back(import, again);
                    }
                }
            }
        }
        self.wake_relay.notify_one();
    }
}
