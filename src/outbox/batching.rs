//! Batching: selects the deliveries of one attempt.
//!
//! An attempt makes one delivery; with `[mail] digest`, the ends of several imports to one address
//! as one mail; or none, if the hourly limit on mails is reached ([`pace`]). Mails that waited for
//! that limit are sent as one, and an import's end then covers its earlier milestones.
//!
//! Every milestone has its own delivery in the state database. A batch exists only for an attempt
//! and is recorded in one transaction, so that a crash loses and repeats no more than for a single
//! delivery. With `digest`, a batch is sent when the period since its first milestone is over.
//!
//! [`pace`]: super::mail::rate_limit

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tracing::warn;

use super::attempt::Courier;
use super::mail::rate_limit::{Turn, Whose};
use super::milestone::Milestone;
use super::retry::Outcome;
use crate::account::AccountId;
use crate::sanitize::printable;
use crate::state::deliveries::{self, Channel, DeliveryTask};
use crate::state::{self, activity};

/// The most imports in one mail.
const MOST: u32 = 50;

impl Courier {
    /// Returns the deliveries of an attempt at `delivery`, which is the first of them. Returns none
    /// if it is no longer pending, or has to wait. A mail counts for the hourly limit at `began`.
    pub(super) fn load(
        &self,
        delivery: i64,
        now: Timestamp,
        began: Instant,
    ) -> state::Result<Vec<(i64, DeliveryTask)>> {
        let Some(task) = self.state().read(|tx| deliveries::find_task(tx, delivery))? else {
            return Ok(Vec::new());
        };
        if task.channel == Channel::Webhook {
            return Ok(vec![(delivery, task)]);
        }
        let digests = !self.digest.is_zero() && tells_an_end(&task);
        if let Some(until) = waits_until(&task, now, self.digest.get()).filter(|_| digests) {
            self.state().write(|tx| deliveries::postpone(tx, delivery, until))?;
            return Ok(Vec::new());
        }
        match self.turn(&task, began) {
            Turn::Wait { pause, whose, is_news } => {
                self.hold(&task, now, pause, &whose, is_news)?;
                Ok(Vec::new())
            }
            Turn::Now { together: true } => self.gather_all(delivery, task, now),
            Turn::Now { together: false } if digests => self.gather(delivery, task, now),
            Turn::Now { together: false } => Ok(vec![(delivery, task)]),
        }
    }

    fn turn(&self, task: &DeliveryTask, began: Instant) -> Turn {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.take(&task.milestone.account, &task.destination, began)
    }

    /// Removes a mail that was not delivered from the hourly count.
    pub(super) fn did_not_go(&self, task: &DeliveryTask, outcome: &Outcome, began: Instant) {
        if task.channel == Channel::Email && !matches!(outcome, Outcome::Delivered(_)) {
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            pace.give_back(&task.milestone.account, &task.destination, began);
        }
    }

    /// Postpones all pending mails that count for the limit of `whose`, and logs it if `is_news`.
    fn hold(
        &self,
        task: &DeliveryTask,
        now: Timestamp,
        pause: Duration,
        whose: &Whose,
        is_news: bool,
    ) -> state::Result<()> {
        let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
        let until = now.checked_add(pause).unwrap_or(Timestamp::MAX);
        let account = task.milestone.account.as_str();
        let what = match whose {
            Whose::Address(to) => format!("mails to {}", printable(to)),
            Whose::Account(account) => format!("mails of {account}"),
        };
        self.state().write(|tx| {
            match whose {
                Whose::Address(to) => deliveries::postpone_address(tx, to, until)?,
                Whose::Account(account) => deliveries::postpone_account(tx, account, until)?,
            };
            let detail = format!("{what}: hourly limit reached; more wait, and are sent as one");
            let id: Option<AccountId> = account.parse().ok();
            match is_news {
                true => activity::log(tx, now, id.as_ref(), None, "mail.held", &detail),
                false => Ok(()),
            }
        })?;
        if is_news {
            warn!(account, "{what} wait: hourly limit reached ([mail] max-hourly-…)");
        }
        Ok(())
    }

    /// Returns `first`, which is about an import's end, and other ends to the same address.
    fn gather(
        &self,
        delivery: i64,
        first: DeliveryTask,
        now: Timestamp,
    ) -> state::Result<Vec<(i64, DeliveryTask)>> {
        let mut tasks = vec![(delivery, first)];
        let others =
            self.state().read(|tx| deliveries::list_companions(tx, delivery, now, MOST - 1))?;
        tasks.extend(others);
        Ok(tasks)
    }

    /// Returns the deliveries of [`Courier::gather`] and the earlier milestones of these imports,
    /// so that an import that began and ended during the wait appears once.
    fn gather_all(
        &self,
        delivery: i64,
        first: DeliveryTask,
        now: Timestamp,
    ) -> state::Result<Vec<(i64, DeliveryTask)>> {
        let end = match tells_an_end(&first) {
            true => Some((delivery, first.clone())),
            false => self.state().read(|tx| deliveries::find_end(tx, delivery))?,
        };
        let Some((delivery, first)) = end else { return Ok(vec![(delivery, first)]) };
        let mut tasks = self.gather(delivery, first, now)?;
        let earlier = self.state().read(|tx| {
            let ends = tasks.iter().map(|(end, _)| deliveries::list_earlier(tx, *end));
            ends.collect::<state::Result<Vec<_>>>()
        })?;
        tasks.extend(earlier.into_iter().flatten());
        Ok(tasks)
    }
}

/// Reports whether `task` is a mail about an import's end.
pub(super) fn tells_an_end(task: &DeliveryTask) -> bool {
    let ends = [Milestone::Completed, Milestone::Failed].map(Milestone::as_str);
    task.channel == Channel::Email && ends.contains(&task.milestone.kind.as_str())
}

/// Returns the time until which a delivery without an attempt waits for others.
fn waits_until(task: &DeliveryTask, now: Timestamp, period: Duration) -> Option<Timestamp> {
    let until = task.milestone.at.checked_add(period).ok()?;
    // A milestone in the future is from before the clock was set back: don't wait for it.
    let is_young = task.milestone.at <= now && now < until;
    (task.attempts == 0 && is_young).then_some(until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_young_end_that_was_not_tried_waits() {
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
        assert!(tells_an_end(&end) && tells_an_end(&task("import.failed", 0)));
        assert!(!tells_an_end(&task("import.picked_up", 0)));
        assert!(!tells_an_end(&DeliveryTask { channel: Channel::Webhook, ..end }));
    }
}
