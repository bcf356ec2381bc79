//! Writes what came of an attempt, and what else follows, in one transaction; and logs it.

use jiff::Timestamp;
use tracing::{debug, error, info, warn};

use super::notice::{self, EndpointDisabled};
use super::retry::{Outcome, Verdict, has_failed_for};
use crate::account::AccountId;
use crate::config::Period;
use crate::import_id::ImportId;
use crate::sanitize::printable;
use crate::state::deliveries::{self, After, Attempt, Channel, Task};
use crate::state::{self, Transaction, activity, endpoints};

/// An attempt that was made.
#[derive(Debug)]
pub(super) struct Made<'a> {
    /// The delivery's number.
    pub delivery: i64,
    /// What it was.
    pub task: &'a Task,
    /// When, how long, and what was said.
    pub attempt: &'a Attempt,
    /// What came of it.
    pub outcome: &'a Outcome,
    /// What that means for the delivery.
    pub verdict: Verdict,
}

impl Made<'_> {
    /// Writes it. Returns whether the endpoint that it went to is disabled now.
    pub(super) fn record(
        &self,
        tx: &Transaction<'_>,
        disable_after: Period,
    ) -> state::Result<bool> {
        let after = match self.verdict {
            Verdict::Delivered => After::Delivered,
            Verdict::RetryAt(at) => After::Retry(at),
            Verdict::GiveUp | Verdict::DisableEndpoint => After::Failed,
        };
        let is_recorded = deliveries::record(tx, self.delivery, self.attempt, after)?;
        if is_recorded && after == After::Failed && *self.outcome != Outcome::NoMail {
            let (kind, to) = (&self.task.milestone.kind, &self.task.destination);
            let (channel, why) = (self.task.channel.as_str(), &self.attempt.outcome);
            self.log(tx, "delivery.failed", &format!("{kind} by {channel} to {to}: {why}"))?;
        }
        match self.task.channel {
            Channel::Email => Ok(false),
            Channel::Webhook => self.judge_endpoint(tx, disable_after),
        }
    }

    /// Disables the endpoint when it asks for it, or has failed for `disable_after`.
    fn judge_endpoint(&self, tx: &Transaction<'_>, disable_after: Period) -> state::Result<bool> {
        let (account, name) = (&self.task.milestone.account, &self.task.destination);
        let end = ended(self.attempt);
        let failing_since = match self.outcome {
            Outcome::Delivered(_) => {
                endpoints::worked(tx, account, name)?;
                return Ok(false);
            }
            Outcome::Gone(_) => None,
            Outcome::Never(_) | Outcome::NoMail => return Ok(false), // our own doing
            Outcome::Later { .. } => {
                let since = endpoints::failed(tx, self.attempt.at, account, name)?;
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
        let Some(target) = endpoints::target(tx, account, name, at)? else { return Ok(false) };
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

    /// As metrics count it.
    fn counted(&self) -> &'static str {
        match self.verdict {
            Verdict::Delivered => "delivered",
            Verdict::RetryAt(_) => "retried",
            Verdict::GiveUp | Verdict::DisableEndpoint => "failed",
        }
    }

    /// The one line that the daemon's log has on an attempt.
    pub(super) fn tell(&self, endpoint_disabled: bool) {
        let Self { delivery, task, attempt, .. } = self;
        let account = task.milestone.account.as_str();
        let import = task.milestone.import.as_deref();
        let (channel, to) = (task.channel.as_str(), task.destination.as_str());
        // The other side's words.
        let (milestone, why) = (task.milestone.kind.as_str(), printable(&attempt.outcome));
        // Whole in itself: `systemctl status` shows the message without the fields.
        let what =
            format_args!("{milestone} of {} by {channel} to {to}", import.unwrap_or(account));
        crate::metrics::attempted(channel, milestone, self.counted());
        match self.verdict {
            _ if endpoint_disabled => {
                error!(account, import, delivery, "{what}: the endpoint is disabled: {why}");
            }
            Verdict::Delivered => info!(account, import, delivery, "{what}: delivered"),
            Verdict::RetryAt(next) => {
                warn!(account, import, delivery, "{what}: {why}; tried again at {next:.0}");
            }
            // The sysadmin's wish.
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
