//! [`ActivityLimit`]: limits the activity log lines of one account. This module is pure.
//!
//! Invariant: an account gets at most [`LINES_PER_MINUTE`] lines per minute, plus a line with the
//! count of the others.

use jiff::{SignedDuration, Timestamp};

/// The time for which the line of a request is held, because the server may log a failure of the
/// request. The server logs a failure right after its request.
const ANSWER: SignedDuration = SignedDuration::from_secs(1);

/// The maximum number of lines that the activity log gets per account and minute.
pub const LINES_PER_MINUTE: u32 = 60;

/// A line for the activity log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityLine {
    pub at: Timestamp,
    /// The logged action, such as `session.opened` or `file.closed`.
    pub action: &'static str,
    /// The details of the action. Names in the details come from the client and are printable.
    pub detail: String,
}

/// Identifies a line of the activity log that may still be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineId(u64);

/// A line for the activity log that is not stored yet.
#[derive(Clone, Debug)]
struct PendingLine {
    /// The id of the line. `None` if the request of the line can no longer fail.
    awaiting: Option<LineId>,
    line: ActivityLine,
}

/// The lines of one account that are not stored in the activity log yet.
#[derive(Clone, Debug, Default)]
pub struct ActivityLimit {
    minute: i64,
    taken: u32,
    left_out: u32,
    last_id: u64,
    waiting: Vec<PendingLine>,
}

impl ActivityLimit {
    /// Adds a line for the activity log. Counts the line as left out if the limit is reached.
    pub fn add(&mut self, at: Timestamp, action: &'static str, detail: impl FnOnce() -> String) {
        self.push(at, action, detail, None);
    }

    /// Adds a line about a request that may still fail. Counts the line as left out if the limit is
    /// reached.
    pub fn add_awaiting(
        &mut self,
        at: Timestamp,
        action: &'static str,
        detail: impl FnOnce() -> String,
    ) -> LineId {
        self.last_id += 1;
        let id = LineId(self.last_id);
        self.push(at, action, detail, Some(id));
        id
    }

    /// Marks the request of a line as successful.
    pub fn confirm(&mut self, id: LineId) {
        if let Some(waiting) = self.find(id) {
            waiting.awaiting = None;
        }
    }

    /// Replaces the line of a failed request. If the line is already stored, adds another line.
    pub fn amend(&mut self, id: LineId, at: Timestamp, action: &'static str, detail: String) {
        match self.find(id) {
            Some(waiting) => {
                waiting.awaiting = None;
                (waiting.line.action, waiting.line.detail) = (action, detail);
            }
            None => self.add(at, action, || detail),
        }
    }

    /// Marks the requests of all lines as successful.
    pub fn confirm_all(&mut self) {
        self.waiting.iter_mut().for_each(|waiting| waiting.awaiting = None);
    }

    /// Removes and returns the lines that are to be stored at `now`. A line whose request may still
    /// fail is held for the time [`ANSWER`].
    pub fn drain_due(&mut self, now: Timestamp) -> Vec<ActivityLine> {
        self.start_minute(now);
        let is_due = |waiting: &PendingLine| {
            // The function `abs` prevents a longer wait after the clock was set back.
            waiting.awaiting.is_none() || now.duration_since(waiting.line.at).abs() >= ANSWER
        };
        let (due, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(is_due);
        self.waiting = waiting;
        let due: Vec<PendingLine> = due;
        due.into_iter().map(|waiting| waiting.line).collect()
    }

    /// Requeues lines that could not be stored. Keeps the lines of at most four minutes, and counts
    /// the others as left out.
    pub fn requeue(&mut self, lines: Vec<ActivityLine>) {
        let mut lines: Vec<_> =
            lines.into_iter().map(|line| PendingLine { awaiting: None, line }).collect();
        lines.append(&mut self.waiting);
        let over = lines.len().saturating_sub(4 * LINES_PER_MINUTE as usize);
        self.left_out = self.left_out.saturating_add(u32::try_from(over).unwrap_or(u32::MAX));
        self.waiting = lines.split_off(over);
    }

    /// Returns whether a line must be stored later, even if no more lines are added.
    pub fn has_pending(&self) -> bool {
        self.left_out > 0 || self.waiting.iter().any(|waiting| waiting.awaiting.is_some())
    }

    fn push(
        &mut self,
        at: Timestamp,
        action: &'static str,
        detail: impl FnOnce() -> String,
        awaiting: Option<LineId>,
    ) {
        self.start_minute(at);
        if self.taken < LINES_PER_MINUTE {
            self.taken += 1;
            let line = ActivityLine { at, action, detail: detail() };
            self.waiting.push(PendingLine { awaiting, line });
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    fn find(&mut self, id: LineId) -> Option<&mut PendingLine> {
        self.waiting.iter_mut().rev().find(|waiting| waiting.awaiting == Some(id))
    }

    fn start_minute(&mut self, now: Timestamp) {
        let minute = minute(now);
        if minute == self.minute {
            return;
        }
        if self.left_out > 0 {
            let detail = format!("{} lines were left out", self.left_out);
            let line = ActivityLine { at: now, action: "audit.left_out", detail };
            self.waiting.push(PendingLine { awaiting: None, line });
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
    fn log_lines_over_the_limit_are_counted() {
        let mut limit = ActivityLimit::default();
        for _ in 0..1000 {
            limit.add(at(60), "file.opened", || "x".into());
        }
        assert_eq!(limit.drain_due(at(61)).len(), LINES_PER_MINUTE as usize);
        assert_eq!(limit.drain_due(at(119)), []);
        assert!(limit.has_pending());
        let message = limit.drain_due(at(120));
        assert_eq!((message.len(), message[0].detail.as_str()), (1, "940 lines were left out"));
        assert!(!limit.has_pending());
    }

    #[test]
    fn a_line_waits_for_a_possible_failure() {
        let mut limit = ActivityLimit::default();
        let actions =
            |lines: Vec<ActivityLine>| lines.into_iter().map(|l| l.action).collect::<Vec<_>>();
        let removed = limit.add_awaiting(at(60), "file.removed", || "x".into());
        limit.add(at(60), "file.closed", || "y".into());
        assert_eq!(actions(limit.drain_due(at(60))), ["file.closed"]);
        assert!(limit.has_pending());
        limit.amend(removed, at(60), "file.remove_refused", "x: Permission denied".into());
        assert_eq!(actions(limit.drain_due(at(60))), ["file.remove_refused"]);
        let confirmed = limit.add_awaiting(at(60), "file.removed", || "x".into());
        limit.confirm(confirmed);
        assert_eq!(actions(limit.drain_due(at(60))), ["file.removed"]);
        limit.add_awaiting(at(60), "file.removed", || "x".into());
        limit.confirm_all();
        assert_eq!(actions(limit.drain_due(at(60))), ["file.removed"]);
        // A failure that arrives late gets its own line.
        let late = limit.add_awaiting(at(60), "file.removed", || "x".into());
        assert_eq!(actions(limit.drain_due(at(61))), ["file.removed"]);
        assert!(!limit.has_pending());
        limit.amend(late, at(62), "file.remove_refused", "x: Permission denied".into());
        assert_eq!(actions(limit.drain_due(at(62))), ["file.remove_refused"]);
    }

    #[test]
    fn the_number_of_requeued_lines_is_limited() {
        let mut limit = ActivityLimit::default();
        for minute in 1..100 {
            for _ in 0..LINES_PER_MINUTE {
                limit.add(at(60 * minute), "file.opened", || "x".into());
            }
            let waiting = limit.drain_due(at(60 * minute));
            limit.requeue(waiting);
        }
        assert!(limit.waiting.len() <= 4 * LINES_PER_MINUTE as usize);
        let message = limit.drain_due(at(60 * 100));
        assert!(message.iter().any(|line| line.action == "audit.left_out"));
    }
}
