//! [`FinishedAttempt`]: records and logs the outcome of an attempt and its consequences.

use jiff::Timestamp;
use tracing::{debug, error, info, warn};

use super::notice::endpoint_disabled::{self, EndpointDisabled};
use super::retry::{AttemptOutcome, NextStep, has_failed_for};
use crate::account::AccountId;
use crate::config::Period;
use crate::import_id::ImportId;
use crate::sanitize::printable;
use crate::state::deliveries::{self, Attempt, Channel, DeliveryTask};
use crate::state::{self, Transaction, activity, endpoints};

/// A finished attempt at a delivery, with its outcome and the next step.
#[derive(Debug)]
pub(super) struct FinishedAttempt<'a> {
    pub delivery: i64,
    pub task: &'a DeliveryTask,
    pub attempt: &'a Attempt,
    pub outcome: &'a AttemptOutcome,
    pub next_step: NextStep,
}

impl FinishedAttempt<'_> {
    /// Writes the attempt to the state database. Returns whether the attempt disabled the endpoint.
    pub(super) fn record(
        &self,
        tx: &Transaction<'_>,
        disable_after: Period,
    ) -> state::Result<bool> {
        let after = match self.next_step {
            NextStep::Delivered => deliveries::AttemptResult::Delivered,
            NextStep::RetryAt(at) => deliveries::AttemptResult::Retry(at),
            NextStep::GiveUp | NextStep::DisableEndpoint => deliveries::AttemptResult::Failed,
        };
        let is_recorded = deliveries::record_attempt(tx, self.delivery, self.attempt, after)?;
        if is_recorded
            && after == deliveries::AttemptResult::Failed
            && *self.outcome != AttemptOutcome::NoMail
        {
            let (kind, to) = (&self.task.milestone.kind, &self.task.destination);
            let (channel, why) = (self.task.channel.as_str(), &self.attempt.outcome);
            self.log_activity(
                tx,
                "delivery.failed",
                &format!("the {channel} of type {kind} to {to} failed: {why}"),
            )?;
        }
        match self.task.channel {
            Channel::Email => Ok(false),
            Channel::Webhook => self.update_endpoint(tx, disable_after),
        }
    }

    /// Disables the endpoint if the endpoint answered 410 Gone or has failed for `disable_after`.
    fn update_endpoint(&self, tx: &Transaction<'_>, disable_after: Period) -> state::Result<bool> {
        let (account, name) = (&self.task.milestone.account, &self.task.destination);
        let end = end_of(self.attempt);
        let failing_since = match self.outcome {
            AttemptOutcome::Delivered(_) => {
                endpoints::record_success(tx, account, name)?;
                return Ok(false);
            }
            AttemptOutcome::Gone(_) => None,
            // These failures were not caused by the endpoint.
            AttemptOutcome::Never(_) | AttemptOutcome::NoMail => return Ok(false),
            AttemptOutcome::Later { .. } => {
                let since = endpoints::record_failure(tx, self.attempt.at, account, name)?;
                if !since.is_some_and(|since| has_failed_for(since, end, disable_after.get())) {
                    return Ok(false);
                }
                since
            }
        };
        self.disable(tx, end, failing_since)
    }

    fn disable(
        &self,
        tx: &Transaction<'_>,
        at: Timestamp,
        failing_since: Option<Timestamp>,
    ) -> state::Result<bool> {
        let (account, name) = (&self.task.milestone.account, &self.task.destination);
        let reason = self.attempt.outcome.clone();
        let Some(target) = endpoints::find_target(tx, account, name, at)? else { return Ok(false) };
        if !endpoints::disable(tx, at, account, name, &reason)? {
            return Ok(false);
        }
        self.log_activity(tx, "webhook.disabled", &format!("{name}: {reason}"))?;
        if let Ok(id) = account.parse::<AccountId>() {
            let notice = EndpointDisabled {
                account: account.clone(),
                endpoint: name.clone(),
                url: target.url,
                reason,
                failing_since,
            };
            endpoint_disabled::enqueue(tx, at, &id, &notice)?;
        }
        Ok(true)
    }

    fn log_activity(&self, tx: &Transaction<'_>, action: &str, detail: &str) -> state::Result<()> {
        let milestone = &self.task.milestone;
        let account: Option<AccountId> = milestone.account.parse().ok();
        let import: Option<ImportId> = milestone.import.as_ref().and_then(|id| id.parse().ok());
        activity::log(tx, self.attempt.at, account.as_ref(), import.as_ref(), action, detail)
    }

    /// Returns the label that the metrics have for the outcome of the attempt.
    fn metrics_label(&self) -> &'static str {
        match self.next_step {
            NextStep::Delivered => "delivered",
            NextStep::RetryAt(_) => "retried",
            NextStep::GiveUp | NextStep::DisableEndpoint => "failed",
        }
    }

    /// Writes a line about the attempt to the log of the daemon.
    pub(super) fn log(&self, endpoint_disabled: bool) {
        let Self { delivery, task, attempt, .. } = self;
        let account = task.milestone.account.as_str();
        let import = task.milestone.import.as_deref();
        let (channel, to) = (task.channel.as_str(), task.destination.as_str());
        // The text comes from the server and may contain control characters.
        let (milestone, why) = (task.milestone.kind.as_str(), printable(&attempt.outcome));
        // The message repeats some fields of the log line, because `systemctl status` does not
        // show fields.
        let (kind, id) = import.map_or(("account", account), |import| ("import", import));
        let what = format!("the {channel} of type {milestone} to {to} for {kind} {id}");
        crate::metrics::count_attempt(channel, milestone, self.metrics_label());
        match self.next_step {
            _ if endpoint_disabled => {
                error!(
                    account,
                    import, delivery, "{what} failed, and the endpoint is now disabled: {why}"
                );
            }
            NextStep::Delivered => info!(account, import, delivery, "{what} was delivered"),
            NextStep::RetryAt(next) => {
                warn!(
                    account,
                    import, delivery, "{what} failed: {why}; the next attempt is at {next:.0}"
                );
            }
            // The sysadmin switched mail off, so this outcome is not an error.
            NextStep::GiveUp if *self.outcome == AttemptOutcome::NoMail => {
                debug!(
                    account,
                    import, delivery, "{what} was not sent, because mail is switched off"
                );
            }
            NextStep::GiveUp | NextStep::DisableEndpoint => {
                error!(account, import, delivery, "{what} failed and was given up: {why}");
            }
        }
    }
}

fn end_of(attempt: &Attempt) -> Timestamp {
    let took = jiff::SignedDuration::from_millis(attempt.took_ms);
    attempt.at.checked_add(took).unwrap_or(attempt.at)
}
