//! One attempt at one delivery, from the state database and back into it. Blocking.

use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use tracing::warn;
use uuid::Uuid;

use super::email::{About, Enclosure, Letter, Mailer};
use super::milestone::{Body, Milestone};
use super::notice;
use super::packing::Packing;
use super::record::Made;
use super::retry::{Outcome, judge};
use super::unclaimed;
use super::webhook::{Request, Sender};
use crate::config::{Config, Period};
use crate::import_id::ImportId;
use crate::report::Report;
use crate::state::deliveries::{self, Attempt, Channel, Task};
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
    mailer: Mailer,
    sender: Sender,
    attachments: Arc<dyn Attachments>,
    packing: Packing,
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
        let Some(task) = self.state.read(|tx| deliveries::task(tx, delivery))? else {
            return Ok(());
        };
        let (at, began) = (Timestamp::now(), Instant::now());
        // A bug in here is one delivery's failure, not the end of all deliveries.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.make(delivery, &task, at)))
            .unwrap_or_else(|_| Ok(Outcome::later("internal error: the attempt panicked")))?;
        let took_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let attempt = Attempt { at, took_ms, outcome: outcome.text().to_owned() };
        let verdict = judge(&outcome, task.attempts + 1, Timestamp::now(), chance());
        let made = Made { delivery, task: &task, attempt: &attempt, outcome: &outcome, verdict };
        let disabled = self.state.write(|tx| made.record(tx, self.disable_after))?;
        made.tell(disabled);
        Ok(())
    }

    fn make(&self, delivery: i64, task: &Task, now: Timestamp) -> state::Result<Outcome> {
        match task.channel {
            Channel::Email => Ok(self.mail(delivery, task)),
            Channel::Webhook => self.post(task, now),
        }
    }

    fn mail(&self, delivery: i64, task: &Task) -> Outcome {
        let sent = match task.milestone.kind.as_str() {
            notice::KIND => self.mail_endpoint(delivery, task),
            unclaimed::KIND => self.mail_unclaimed(delivery, task),
            _ => self.mail_milestone(delivery, task),
        };
        sent.unwrap_or_else(|error| Outcome::Never(format!("the milestone can't be read: {error}")))
    }

    fn mail_endpoint(&self, delivery: i64, task: &Task) -> serde_json::Result<Outcome> {
        let body: notice::Body = serde_json::from_str(&task.milestone.body)?;
        Ok(self.mail_about(delivery, task, About::Endpoint(&body.data), Enclosure::None))
    }

    fn mail_unclaimed(&self, delivery: i64, task: &Task) -> serde_json::Result<Outcome> {
        let body: unclaimed::Body = serde_json::from_str(&task.milestone.body)?;
        Ok(self.mail_about(delivery, task, About::Unclaimed(&body.data), Enclosure::None))
    }

    fn mail_milestone(&self, delivery: i64, task: &Task) -> serde_json::Result<Outcome> {
        let body: Body<Milestone> = serde_json::from_str(&task.milestone.body)?;
        let about = About::Import(body.milestone, &body.data);
        Ok(self.mail_about(delivery, task, about, self.enclosure(&body.data)))
    }

    fn mail_about(
        &self,
        delivery: i64,
        task: &Task,
        about: About<'_>,
        error_file: Enclosure,
    ) -> Outcome {
        self.mailer.send(&Letter {
            about,
            message: &task.milestone.id,
            delivery,
            at: task.milestone.at,
            to: &task.destination,
            error_file,
        })
    }

    /// The error file of `report`, or why it doesn't go with the mail.
    fn enclosure(&self, report: &Report) -> Enclosure {
        let (Some(name), Some(account)) = (&report.error_file, &report.account) else {
            return Enclosure::None;
        };
        match self
            .attachments
            .open(account, name)
            .and_then(|(file, len)| self.packing.pack(name, file, len))
        {
            Ok(enclosure) => enclosure,
            Err(error) => {
                let import = report.import.as_ref().map(ImportId::as_str);
                warn!(account, import, %error, "the error file can't be attached");
                Enclosure::Named("it could not be attached".to_owned())
            }
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
