//! Makes one attempt at a delivery, or at a batch of them, and records the result. Blocking.

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
use crate::state::deliveries::{Attempt, Channel, DeliveryTask};
use crate::state::{self, State, endpoints};

/// Opens error files; the outbox does not know where they are.
pub trait Attachments: Send + Sync {
    /// Opens the file `name` in the results of `account`. Returns it and its length in bytes.
    ///
    /// # Errors
    /// Also if it is not a regular file.
    fn open(&self, account: &str, name: &str) -> io::Result<(Box<dyn Read>, u64)>;
}

/// Makes attempts. The threads of the relay share one.
pub struct Courier {
    state: Arc<State>,
    pub(super) mailer: Mailer,
    sender: Sender,
    pub(super) attachments: Arc<dyn Attachments>,
    pub(super) packing: Packing,
    /// How long the mail about an import's end waits for others.
    pub(super) digest: Period,
    pub(super) pace: Mutex<Pace>,
    disable_after: Period,
}

impl Courier {
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

    /// Makes an attempt at `delivery` if it is still pending, and records the outcome.
    ///
    /// # Errors
    /// After an error the delivery is still due: the attempt may be made again.
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
            // The content of one of them may be the cause: send this one alone, the others later.
            tasks.truncate(1);
            outcome = self.make_guarded(&tasks, at)?;
        }
        self.did_not_go(&tasks[0].1, &outcome, began);
        let took_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let attempt = Attempt { at, took_ms, outcome: outcome.text().to_owned() };
        let (now, chance) = (Timestamp::now(), chance()); // the same for all: the batch stays one
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

    /// Makes the attempt. A panic is a failure of this delivery only.
    fn make_guarded(
        &self,
        tasks: &[(i64, DeliveryTask)],
        now: Timestamp,
    ) -> state::Result<Outcome> {
        catch_unwind(AssertUnwindSafe(|| self.make(tasks, now)))
            .unwrap_or_else(|_| Ok(Outcome::later("internal error: the attempt panicked")))
    }

    fn make(&self, tasks: &[(i64, DeliveryTask)], now: Timestamp) -> state::Result<Outcome> {
        match &tasks[0].1 {
            task if task.channel == Channel::Webhook => self.post(task, now),
            _ => Ok(self.mail(tasks)),
        }
    }

    fn post(&self, task: &DeliveryTask, now: Timestamp) -> state::Result<Outcome> {
        let (account, name) = (&task.milestone.account, &task.destination);
        let target = self.state.read(|tx| endpoints::find_target(tx, account, name, now))?;
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

/// Returns a random number from 0 to 1.
fn chance() -> f64 {
    let [a, b, c, d, ..] = *Uuid::new_v4().as_bytes(); // in version 4 these bytes are all random
    f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX)
}
