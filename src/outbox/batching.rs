//! [`Batching`]: selects the deliveries of one attempt.
//!
//! An attempt sends one delivery. With `[mail] digest`, an attempt sends the ends of several
//! imports to one address as one mail. If an hourly limit on mails is reached ([`rate_limit`]), an
//! attempt sends nothing. Mails that waited for that limit are sent as one mail. In such a mail the
//! end of an import also covers the import's earlier milestones.
//!
//! Every milestone has its own delivery in the state database. A batch exists only for an attempt
//! and is recorded in one transaction, so that a crash loses and repeats no more than for a single
//! delivery. With `digest`, a batch is sent when the period since its first milestone is over.
//!
//! [`rate_limit`]: super::mail::rate_limit

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tracing::warn;

use super::mail::rate_limit::{LimitKey, Permit, RateLimit};
use super::milestone::Milestone;
use super::retry::AttemptOutcome;
use crate::account::AccountId;
use crate::config::Mail;
use crate::sanitize::printable;
use crate::state::deliveries::{self, Channel, DeliveryTask};
use crate::state::{self, State, activity};

/// The maximum number of imports in one mail.
const MAX_IMPORTS: u32 = 50;

/// Selects the deliveries that are sent as one mail. It remembers the times of the mails that were
/// sent in the last hour.
pub(super) struct Batching {
    /// The time for which a mail about an import's end waits for the ends of other imports. Zero
    /// means that the mail does not wait.
    digest: Duration,
    rate_limit: Mutex<RateLimit>,
}

impl Batching {
    pub(super) fn new(config: &Mail) -> Self {
        Self { digest: config.digest.get(), rate_limit: Mutex::new(RateLimit::new(config)) }
    }

    /// Returns the deliveries for one attempt, with `delivery` as the first. Returns none if
    /// `delivery` is no longer pending or must wait. A mail counts for the hourly limits at the
    /// time `began`.
    pub(super) fn select(
        &self,
        state: &State,
        delivery: i64,
        now: Timestamp,
        began: Instant,
    ) -> state::Result<Vec<(i64, DeliveryTask)>> {
        let Some(task) = state.read(|tx| deliveries::find_task(tx, delivery))? else {
            return Ok(Vec::new());
        };
        if task.channel == Channel::Webhook {
            return Ok(vec![(delivery, task)]);
        }
        let digests = !self.digest.is_zero() && is_import_end(&task);
        if let Some(until) = waits_until(&task, now, self.digest).filter(|_| digests) {
            state.write(|tx| deliveries::postpone(tx, delivery, until))?;
            return Ok(Vec::new());
        }
        let (account, address) = (&task.milestone.account, &task.destination);
        let permit = self.rate_limit().request(account, address, began);
        match permit {
            Permit::Wait { pause, limit, is_first } => {
                hold(state, &task, now, pause, &limit, is_first)?;
                Ok(Vec::new())
            }
            Permit::Send { batch: true } => with_ends_and_earlier(state, delivery, task, now),
            Permit::Send { batch: false } if digests => with_ends(state, delivery, task, now),
            Permit::Send { batch: false } => Ok(vec![(delivery, task)]),
        }
    }

    /// Removes a mail that was not delivered from the hourly count.
    pub(super) fn uncount_failure(
        &self,
        task: &DeliveryTask,
        outcome: &AttemptOutcome,
        began: Instant,
    ) {
        if task.channel == Channel::Email && !matches!(outcome, AttemptOutcome::Delivered(_)) {
            self.rate_limit().uncount(&task.milestone.account, &task.destination, began);
        }
    }

    fn rate_limit(&self) -> MutexGuard<'_, RateLimit> {
        self.rate_limit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Postpones all pending mails that count for `limit`. Logs the delay if `is_first` is true.
fn hold(
    state: &State,
    task: &DeliveryTask,
    now: Timestamp,
    pause: Duration,
    limit: &LimitKey,
    is_first: bool,
) -> state::Result<()> {
    let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
    let until = now.checked_add(pause).unwrap_or(Timestamp::MAX);
    let account = task.milestone.account.as_str();
    let what = match limit {
        LimitKey::Address(to) => format!("mails to {}", printable(to)),
        LimitKey::Account(account) => format!("mails of {account}"),
    };
    state.write(|tx| {
        match limit {
            LimitKey::Address(to) => deliveries::postpone_address(tx, to, until)?,
            LimitKey::Account(account) => deliveries::postpone_account(tx, account, until)?,
        };
        let detail = format!(
            "the hourly limit of {what} is reached; further mails wait and are sent as one mail"
        );
        let id: Option<AccountId> = account.parse().ok();
        match is_first {
            true => activity::log(tx, now, id.as_ref(), None, "mail.held", &detail),
            false => Ok(()),
        }
    })?;
    if is_first {
        warn!(account, "{what} wait, because the hourly limit is reached ([mail] max-hourly-…)");
    }
    Ok(())
}

/// Returns `first`, which is a mail about an import's end, and all pending mails to the same
/// address about the ends of other imports.
fn with_ends(
    state: &State,
    delivery: i64,
    first: DeliveryTask,
    now: Timestamp,
) -> state::Result<Vec<(i64, DeliveryTask)>> {
    let mut tasks = vec![(delivery, first)];
    tasks.extend(state.read(|tx| deliveries::list_companions(tx, delivery, now, MAX_IMPORTS - 1))?);
    Ok(tasks)
}

/// Returns the deliveries that [`with_ends`] returns, and the earlier milestones of the same
/// imports. An import that began and ended during the wait is thus listed once.
fn with_ends_and_earlier(
    state: &State,
    delivery: i64,
    first: DeliveryTask,
    now: Timestamp,
) -> state::Result<Vec<(i64, DeliveryTask)>> {
    let end = match is_import_end(&first) {
        true => Some((delivery, first.clone())),
        false => state.read(|tx| deliveries::find_end(tx, delivery))?,
    };
    let Some((delivery, first)) = end else { return Ok(vec![(delivery, first)]) };
    let mut tasks = with_ends(state, delivery, first, now)?;
    let earlier = state.read(|tx| {
        let ends = tasks.iter().map(|(end, _)| deliveries::list_earlier(tx, *end));
        ends.collect::<state::Result<Vec<_>>>()
    })?;
    tasks.extend(earlier.into_iter().flatten());
    Ok(tasks)
}

/// Reports whether `task` is a mail about an import's end.
pub(super) fn is_import_end(task: &DeliveryTask) -> bool {
    let ends = [Milestone::Completed, Milestone::Failed].map(Milestone::as_str);
    task.channel == Channel::Email && ends.contains(&task.milestone.kind.as_str())
}

/// Returns the time until which a delivery waits so that other deliveries can share its mail.
/// Returns `None` if the delivery was attempted before or must not wait.
fn waits_until(task: &DeliveryTask, now: Timestamp, period: Duration) -> Option<Timestamp> {
    let until = task.milestone.at.checked_add(period).ok()?;
    // If the milestone's time is in the future, the clock was set back. Such a delivery does not
    // wait.
    let is_young = task.milestone.at <= now && now < until;
    (task.attempts == 0 && is_young).then_some(until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_recent_unattempted_import_ends_wait() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let task = |kind: &str, attempts| DeliveryTask {
            milestone: deliveries::MilestoneRow {
                id: "msg_0".into(),
                import: None,
                account: "acme".into(),
                kind: kind.into(),
                at: at(100),
                body: String::new(),
            },
            channel: Channel::Email,
            destination: "a@b.example".into(),
            attempts,
        };
        let minute = Duration::from_secs(60);
        let end = task("import.completed", 0);
        assert_eq!(waits_until(&end, at(159), minute), Some(at(160)));
        assert_eq!(waits_until(&end, at(160), minute), None);
        assert_eq!(waits_until(&end, at(99), minute), None);
        assert_eq!(waits_until(&task("import.completed", 1), at(101), minute), None);
        assert!(is_import_end(&end) && is_import_end(&task("import.failed", 0)));
        assert!(!is_import_end(&task("import.picked_up", 0)));
        assert!(!is_import_end(&DeliveryTask { channel: Channel::Webhook, ..end }));
    }
}
