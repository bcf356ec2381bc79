//! Which deliveries an attempt makes: one; or, with `[mail] digest`, the ends of several imports to
//! one address as one mail.
//!
//! Every milestone keeps a delivery of its own in the state database. They come together only for
//! the attempt and are recorded in one transaction, so that a crash loses and doubles no more than
//! it does of a single one. The ends wait together too: the first one's wait is over when the
//! period since its milestone is, and the others go with it.

use std::time::Duration;

use jiff::Timestamp;

use super::attempt::Courier;
use super::milestone::Milestone;
use crate::state;
use crate::state::deliveries::{self, Channel, Task};

/// How many imports one mail tells of.
const MOST: u32 = 50;

impl Courier {
    /// The deliveries that an attempt at `delivery` makes, it first; none when it is not pending
    /// any more, or waits for others.
    ///
    /// # Errors
    /// The state database's.
    pub(super) fn load(&self, delivery: i64, now: Timestamp) -> state::Result<Vec<(i64, Task)>> {
        let Some(task) = self.state().read(|tx| deliveries::task(tx, delivery))? else {
            return Ok(Vec::new());
        };
        if self.digest.is_zero() || !tells_an_end(&task) {
            return Ok(vec![(delivery, task)]);
        }
        if let Some(until) = waits_until(&task, now, self.digest.get()) {
            self.state().write(|tx| deliveries::postpone(tx, delivery, until))?;
            return Ok(Vec::new());
        }
        let mut tasks = vec![(delivery, task)];
        let others = self.state().read(|tx| deliveries::companions(tx, delivery, now, MOST - 1))?;
        tasks.extend(others);
        Ok(tasks)
    }
}

fn tells_an_end(task: &Task) -> bool {
    let ends = [Milestone::Completed, Milestone::Failed].map(Milestone::as_str);
    task.channel == Channel::Email && ends.contains(&task.milestone.kind.as_str())
}

/// Until when a delivery that was not attempted yet waits for others.
fn waits_until(task: &Task, now: Timestamp, period: Duration) -> Option<Timestamp> {
    let until = task.milestone.at.checked_add(period).ok()?;
    // A milestone of the future is one of before the clock was set back: nobody waits for it.
    let is_young = task.milestone.at <= now && now < until;
    (task.attempts == 0 && is_young).then_some(until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_young_end_that_was_not_tried_waits() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let task = |kind: &str, attempts| Task {
            milestone: deliveries::Milestone {
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
        assert!(!tells_an_end(&Task { channel: Channel::Webhook, ..end }));
    }
}
