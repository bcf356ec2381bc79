//! What comes back from blocking threads, and what follows from it.
//!
//! Always holds: nothing here waits for a disk or a lock. What failed is logged here, and what can
//! be tried again gets its time.

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

/// How often files that have served are swept out of the spool.
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);
/// An account that could not be looked at is tried again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

impl Supervisor {
    /// Takes what one of them came to.
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
            // Every kind of work catches its own panics; only the runtime's end comes here.
            Err(error) => tracing::error!("a thread was lost: {error}"),
        }
    }

    /// Takes up what other processes changed, such as `key add` or `import retry`, and what a
    /// crash or an error left behind.
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
        // New watches before the looks, so that nothing slips between.
        let new = match &survey.accounts {
            Some(accounts) => self.ears.follow(accounts),
            None => self.ears.renew(&survey.stirred),
        };
        new.into_iter().chain(survey.stirred).for_each(|account| self.looks.request(account));
        if self.surveys.done(survey.version) {
            self.wake_relay.notify_one();
        }
    }

    /// Holds the queue, or lets it go, and says so.
    pub(super) fn measured(&mut self, rooms: &[Room], told: usize) {
        let change = self.space.done(rooms, told, Instant::now(), state::now());
        crate::metrics::set_queue_held(self.space.is_held());
        if let Some(Change::Released(held)) = change {
            // Not the whole time for retries anew: an import that fills the disk itself, and frees
            // it when it fails, would be tried for ever.
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
                crate::metrics::look_failed();
                tracing::error!(%account, "cannot look at the account: {}", chain(&error));
                self.surveys.want(Wanted::SURVEY); // what it had queued by then
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
