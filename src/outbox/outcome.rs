//! Records the outcome of an attempt and its consequences in one transaction, and logs it.

use jiff::Timestamp;
use tracing::{debug, error, info, warn};

use super::notice::{self, EndpointDisabled};
use super::retry::{Outcome, Verdict, has_failed_for};
use crate::account::AccountId;
use crate::config::Period;
use crate::import_id::ImportId;
use crate::sanitize::printable;
use crate::state::deliveries::{self, Attempt, AttemptResult, Channel, DeliveryTask};
use crate::state::{self, Transaction, activity, endpoints};

/// An attempt that was made.
#[derive(Debug)]
pub(super) struct Made<'a> {
    pub delivery: i64,
    pub task: &'a DeliveryTask,
    pub attempt: &'a Attempt,
    pub outcome: &'a Outcome,
    pub verdict: Verdict,
}

impl Made<'_> {
    /// Writes the attempt. Returns whether it disabled the endpoint.
    pub(super) fn record(
        &self,
        tx: &Transaction<'_>,
        disable_after: Period,
    ) -> state::Result<bool> {
        let after = match self.verdict {
            Verdict::Delivered => AttemptResult::Delivered,
            Verdict::RetryAt(at) => AttemptResult::Retry(at),
            Verdict::GiveUp | Verdict::DisableEndpoint => AttemptResult::Failed,
        };
        let is_recorded = deliveries::record_attempt(tx, self.delivery, self.attempt, after)?;
        if is_recorded && after == AttemptResult::Failed && *self.outcome != Outcome::NoMail {
            let (kind, to) = (&self.task.milestone.kind, &self.task.destination);
            let (channel, why) = (self.task.channel.as_str(), &self.attempt.outcome);
            self.log(tx, "delivery.failed", &format!("{kind} by {channel} to {to}: {why}"))?;
        }
        match self.task.channel {
            Channel::Email => Ok(false),
            Channel::Webhook => self.judge_endpoint(tx, disable_after),
        }
    }

    /// Disables the endpoint if it answered 410 Gone, or has failed for `disable_after`.
    fn judge_endpoint(&self, tx: &Transaction<'_>, disable_after: Period) -> state::Result<bool> {
        let (account, name) = (&self.task.milestone.account, &self.task.destination);
        let end = ended(self.attempt);
        let failing_since = match self.outcome {
            Outcome::Delivered(_) => {
                endpoints::record_success(tx, account, name)?;
                return Ok(false);
            }
            Outcome::Gone(_) => None,
            Outcome::Never(_) | Outcome::NoMail => return Ok(false), // not the endpoint's fault
            Outcome::Later { .. } => {
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
        self.log(tx, "webhook.disabled", &format!("{name}: {reason}"))?;
        if let Ok(id) = account.parse::<AccountId>() {
            let notice = EndpointDisabled {
                account: account.clone(),
                endpoint: name.clone(),
                url: target.url,
                reason,
                failing_since,
            };
            notice::enqueue(tx, at, &id, &notice)?;
        }
        Ok(true)
    }

    fn log(&self, tx: &Transaction<'_>, action: &str, detail: &str) -> state::Result<()> {
        let milestone = &self.task.milestone;
        let account: Option<AccountId> = milestone.account.parse().ok();
        let import: Option<ImportId> = milestone.import.as_ref().and_then(|id| id.parse().ok());
        activity::log(tx, self.attempt.at, account.as_ref(), import.as_ref(), action, detail)
    }

    /// Returns the outcome's label in the metrics.
    fn counted(&self) -> &'static str {
        match self.verdict {
            Verdict::Delivered => "delivered",
            Verdict::RetryAt(_) => "retried",
            Verdict::GiveUp | Verdict::DisableEndpoint => "failed",
        }
    }

    /// Writes the line about the attempt to the daemon's log.
    pub(super) fn tell(&self, endpoint_disabled: bool) {
        let Self { delivery, task, attempt, .. } = self;
        let account = task.milestone.account.as_str();
        let import = task.milestone.import.as_deref();
        let (channel, to) = (task.channel.as_str(), task.destination.as_str());
        // The server chose the text.
        let (milestone, why) = (task.milestone.kind.as_str(), printable(&attempt.outcome));
        // The message repeats some fields, as `systemctl status` does not show fields.
        let what =
            format_args!("{milestone} of {} by {channel} to {to}", import.unwrap_or(account));
        crate::metrics::count_attempt(channel, milestone, self.counted());
        match self.verdict {
            _ if endpoint_disabled => {
                error!(account, import, delivery, "{what}: the endpoint is disabled: {why}");
            }
            Verdict::Delivered => info!(account, import, delivery, "{what}: delivered"),
            Verdict::RetryAt(next) => {
                warn!(account, import, delivery, "{what}: {why}; tried again at {next:.0}");
            }
            // The sysadmin configured it so.
            Verdict::GiveUp if *self.outcome == Outcome::NoMail => {
                debug!(account, import, delivery, "{what}: mail is off");
            }
            Verdict::GiveUp | Verdict::DisableEndpoint => {
                error!(account, import, delivery, "{what}: given up: {why}");
            }
        }
    }
}

fn ended(attempt: &Attempt) -> Timestamp {
    let took = jiff::SignedDuration::from_millis(attempt.took_ms);
    attempt.at.checked_add(took).unwrap_or(attempt.at)
}
