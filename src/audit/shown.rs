//! [`Limit`]: how much of what one account does goes to the activity log. Pure.
//!
//! Always holds: at most [`A_MINUTE`] lines of an account in a minute, and one more that says how
//! many were left out.

use jiff::Timestamp;

/// How many lines of one account's sessions the activity log takes in a minute.
pub const A_MINUTE: u32 = 60;

/// A line for the activity log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// When.
    pub at: Timestamp,
    /// What: `session.opened`, `file.closed`, …
    pub action: &'static str,
    /// What more there is to say; names in it are the client's, printable.
    pub detail: String,
}

/// The lines of one account that wait for the activity log.
#[derive(Clone, Debug, Default)]
pub struct Limit {
    minute: i64,
    taken: u32,
    left_out: u32,
    waiting: Vec<Shown>,
}

impl Limit {
    /// One more line, if there is room for it.
    pub fn add(&mut self, at: Timestamp, action: &'static str, detail: impl FnOnce() -> String) {
        self.turn(at);
        if self.taken < A_MINUTE {
            self.taken += 1;
            self.waiting.push(Shown { at, action, detail: detail() });
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    /// What is to be written by `now`.
    pub fn take(&mut self, now: Timestamp) -> Vec<Shown> {
        self.turn(now);
        std::mem::take(&mut self.waiting)
    }

    /// They could not be written: what a minute may hold is kept, and the rest counted.
    pub fn put_back(&mut self, mut lines: Vec<Shown>) {
        lines.append(&mut self.waiting);
        let over = lines.len().saturating_sub(4 * A_MINUTE as usize);
        self.left_out = self.left_out.saturating_add(u32::try_from(over).unwrap_or(u32::MAX));
        self.waiting = lines.split_off(over);
    }

    /// Whether there will be a line to write though nothing more comes.
    pub fn owes(&self) -> bool {
        self.left_out > 0
    }

    fn turn(&mut self, now: Timestamp) {
        let minute = minute(now);
        if minute == self.minute {
            return;
        }
        if self.left_out > 0 {
            let detail = format!("{} lines left out", self.left_out);
            self.waiting.push(Shown { at: now, action: "audit.left_out", detail });
        }
        (self.minute, self.taken, self.left_out) = (minute, 0, 0);
    }
}

fn minute(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_flood_is_bounded_and_counted() {
        let mut limit = Limit::default();
        for _ in 0..1000 {
            limit.add(at(60), "file.opened", || "x".into());
        }
        assert_eq!(limit.take(at(61)).len(), A_MINUTE as usize);
        assert_eq!(limit.take(at(119)), []);
        assert!(limit.owes());
        let said = limit.take(at(120));
        assert_eq!((said.len(), said[0].detail.as_str()), (1, "940 lines left out"));
        assert!(!limit.owes());
    }

    #[test]
    fn what_cannot_be_written_is_bounded_too() {
        let mut limit = Limit::default();
        for minute in 1..100 {
            for _ in 0..A_MINUTE {
                limit.add(at(60 * minute), "file.opened", || "x".into());
            }
            let waiting = limit.take(at(60 * minute));
            limit.put_back(waiting);
        }
        assert!(limit.waiting.len() <= 4 * A_MINUTE as usize);
        let said = limit.take(at(60 * 100));
        assert!(said.iter().any(|line| line.action == "audit.left_out"));
    }
}
