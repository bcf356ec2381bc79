//! One attempt at one delivery, or at those that go together, from the state database and back into it. Blocking.

use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use jiff::Timestamp;
use uuid::Uuid;

use super::mail::Mailer;
use super::mail::attachment::Packing;
use super::mail::rate_limit::Pace;
use super::outcome::Made;
use super::retry::{Outcome, judge};
use super::webhook::{Request, Sender};
use crate::config::{Config, Period};
use crate::state::deliveries::{Attempt, Channel, Task};
use crate::state::{self, State, endpoints};

/// Where the error files lie; the outbox does not know.
pub trait Attachments: Send + Sync {
    /// Opens the file `name` in the results of `account`; with its length in bytes.
    ///
    /// # Errors
    /// It isn't there, isn't a regular file, or can't be read.
    fn open(&self, account: &str, name: &str) -> io::Result<(Box<dyn Read>, u64)>;
}

/// Makes attempts; shared by the threads that make them.
pub struct Courier {
    state: Arc<State>,
    pub(super) mailer: Mailer,
    sender: Sender,
    pub(super) attachments: Arc<dyn Attachments>,
    pub(super) packing: Packing,
    /// How long ends of imports wait for each other.
    pub(super) digest: Period,
    /// How many mails have gone out of late.
    pub(super) pace: Mutex<Pace>,
    disable_after: Period,
}

impl Courier {
    /// By the mail server and with the timeouts of `config`.
    pub fn new(state: Arc<State>, config: &Config, attachments: Arc<dyn Attachments>) -> Self {
        Self {
            state,
            mailer: Mailer::new(&config.mail),
            sender: Sender::new(&config.webhooks),
            attachments,
            packing: Packing::new(&config.mail),
            digest: config.mail.digest,
            pace: Mutex::new(Pace::new(&config.mail)),
            disable_after: config.webhooks.disable_after,
        }
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Makes an attempt at `delivery`, if it is pending still, and records what came of it.
    ///
    /// # Errors
    /// The state database's: then the delivery is due still, and may be made again.
    pub fn attempt(&self, delivery: i64) -> state::Result<()> {
        self.attempt_at(delivery, Timestamp::now(), Instant::now())
    }

    pub(super) fn attempt_at(
        &self,
        delivery: i64,
        at: Timestamp,
        began: Instant,
    ) -> state::Result<()> {
        let mut tasks = self.load(delivery, at, began)?;
        if tasks.is_empty() {
            return Ok(());
        }
        let mut outcome = self.make_guarded(&tasks, at)?;
        if tasks.len() > 1 && matches!(outcome, Outcome::Never(_)) {
            // What is in one of them may be to blame: this one goes alone, the others later.
            tasks.truncate(1);
            outcome = self.make_guarded(&tasks, at)?;
        }
        self.did_not_go(&tasks[0].1, &outcome, began);
        let took_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let attempt = Attempt { at, took_ms, outcome: outcome.text().to_owned() };
        let (now, chance) = (Timestamp::now(), chance()); // one for all: they stay together
        let made = tasks.iter().map(|(delivery, task)| {
            let verdict = judge(&outcome, task.attempts + 1, now, chance);
            Made { delivery: *delivery, task, attempt: &attempt, outcome: &outcome, verdict }
        });
        let made: Vec<_> = made.collect();
        let disabled: Vec<bool> = self.state.write(|tx| {
            made.iter()
                .map(|made| made.record(tx, self.disable_after))
                .collect::<state::Result<_>>()
        })?;
        made.iter().zip(disabled).for_each(|(made, disabled)| made.tell(disabled));
        Ok(())
    }

    /// A bug in here is one delivery's failure, not the end of all deliveries.
    fn make_guarded(&self, tasks: &[(i64, Task)], now: Timestamp) -> state::Result<Outcome> {
        catch_unwind(AssertUnwindSafe(|| self.make(tasks, now)))
            .unwrap_or_else(|_| Ok(Outcome::later("internal error: the attempt panicked")))
    }

    fn make(&self, tasks: &[(i64, Task)], now: Timestamp) -> state::Result<Outcome> {
        match &tasks[0].1 {
            task if task.channel == Channel::Webhook => self.post(task, now),
            _ => Ok(self.mail(tasks)),
        }
    }

    fn post(&self, task: &Task, now: Timestamp) -> state::Result<Outcome> {
        let (account, name) = (&task.milestone.account, &task.destination);
        let target = self.state.read(|tx| endpoints::target(tx, account, name, now))?;
        let Some(target) = target else {
            return Ok(Outcome::Never("the endpoint was removed".into()));
        };
        if let Some(reason) = target.disabled {
            return Ok(Outcome::Never(format!("the endpoint is disabled: {reason}")));
        }
        let secrets = match target.secrets() {
            Ok(secrets) => secrets,
            Err(error) => return Ok(Outcome::Never(format!("the endpoint's secret: {error}"))),
        };
        let (id, body) = (&task.milestone.id, &task.milestone.body);
        Ok(self.sender.send(&Request { url: &target.url, secrets: &secrets, id, now, body }))
    }
}

/// A number from 0 to 1, by chance.
fn chance() -> f64 {
    let [a, b, c, d, ..] = *Uuid::new_v4().as_bytes(); // these bytes of a version 4 are all random
    f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX)
}
