//! Makes one attempt at a delivery, or at a batch of deliveries, and records the outcome. The calls
//! block their thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use uuid::Uuid;

use super::batching::Batching;
use super::compose::Composer;
use super::mail::attachment::Attachments;
use super::outcome::FinishedAttempt;
use super::retry::{AttemptOutcome, next_step};
use super::webhook::signature::signing_secrets;
use super::webhook::{WebhookRequest, WebhookSender};
use crate::config::{Config, Period};
use crate::state::deliveries::{Attempt, Channel, DeliveryTask};
use crate::state::{self, State, endpoints};

/// Makes attempts at deliveries. All threads of the relay share one `AttemptRunner`. The field
/// `batching` is its only mutable state.
pub struct AttemptRunner {
    state: Arc<State>,
    batching: Batching,
    composer: Composer,
    sender: WebhookSender,
    disable_after: Period,
}

impl AttemptRunner {
    pub fn new(state: Arc<State>, config: &Config, attachments: Arc<dyn Attachments>) -> Self {
        Self {
            state,
            batching: Batching::new(&config.mail),
            composer: Composer::new(&config.mail, attachments),
            sender: WebhookSender::new(&config.webhooks),
            disable_after: config.webhooks.disable_after,
        }
    }

    /// Makes an attempt at `delivery` if it is still pending, and records the outcome.
    ///
    /// # Errors
    /// After an error the delivery is still due, and the caller may make the attempt again.
    pub fn run(&self, delivery: i64) -> state::Result<()> {
        self.run_at(delivery, Timestamp::now(), Instant::now())
    }

    pub(super) fn run_at(&self, delivery: i64, at: Timestamp, began: Instant) -> state::Result<()> {
        let mut tasks = self.batching.select(&self.state, delivery, at, began)?;
        if tasks.is_empty() {
            return Ok(());
        }
        let mut outcome = self.deliver_guarded(&tasks, at)?;
        if tasks.len() > 1 && matches!(outcome, AttemptOutcome::Never(_)) {
            // One delivery of the batch may have caused the failure. Therefore the first delivery
            // is sent alone, and the other deliveries are sent later.
            tasks.truncate(1);
            outcome = self.deliver_guarded(&tasks, at)?;
        }
        self.batching.uncount_failure(&tasks[0].1, &outcome, began);
        let took_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let attempt = Attempt { at, took_ms, outcome: outcome.text().to_owned() };
        // All deliveries of a batch get the same time and the same jitter, so that they are
        // retried as one batch.
        let (now, jitter) = (Timestamp::now(), random());
        let results = tasks.iter().map(|(delivery, task)| {
            let next_step = next_step(&outcome, task.attempts + 1, now, jitter);
            FinishedAttempt {
                delivery: *delivery,
                task,
                attempt: &attempt,
                outcome: &outcome,
                next_step,
            }
        });
        let results: Vec<_> = results.collect();
        let disabled: Vec<bool> = self.state.write(|tx| {
            results
                .iter()
                .map(|result| result.record(tx, self.disable_after))
                .collect::<state::Result<_>>()
        })?;
        results.iter().zip(disabled).for_each(|(result, disabled)| result.log(disabled));
        Ok(())
    }

    /// Makes one attempt at a delivery. If the attempt panics, only this attempt fails.
    fn deliver_guarded(
        &self,
        tasks: &[(i64, DeliveryTask)],
        now: Timestamp,
    ) -> state::Result<AttemptOutcome> {
        let deliver = || match &tasks[0].1 {
            task if task.channel == Channel::Webhook => self.post(task, now),
            _ => Ok(self.composer.send(tasks)),
        };
        catch_unwind(AssertUnwindSafe(deliver))
            .unwrap_or_else(|_| Ok(AttemptOutcome::later("internal error: the attempt panicked")))
    }

    fn post(&self, task: &DeliveryTask, now: Timestamp) -> state::Result<AttemptOutcome> {
        let (account, name) = (&task.milestone.account, &task.destination);
        let target = self.state.read(|tx| endpoints::find_target(tx, account, name, now))?;
        let Some(target) = target else {
            return Ok(AttemptOutcome::Never("the endpoint was removed".into()));
        };
        if let Some(reason) = target.disabled {
            return Ok(AttemptOutcome::Never(format!("the endpoint is disabled: {reason}")));
        }
        let secrets = match signing_secrets(&target) {
            Ok(secrets) => secrets,
            Err(error) => {
                return Ok(AttemptOutcome::Never(format!(
                    "the endpoint's secret is invalid: {error}"
                )));
            }
        };
        let (id, body) = (&task.milestone.id, &task.milestone.body);
        let request = WebhookRequest { url: &target.url, secrets: &secrets, id, now, body };
        Ok(self.sender.send(&request))
    }
}

/// Returns a random number from 0 to 1.
fn random() -> f64 {
    let [a, b, c, d, ..] = *Uuid::new_v4().as_bytes(); // a UUID of version 4 is random
    f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX)
}
