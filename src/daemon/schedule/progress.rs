//! Decides when progress reports are written. All functions are pure.
//!
//! Invariant: rounds run one at a time, and only while an import waits or runs. The first round for
//! a new import begins soon after its claim, but with a delay, within which most imports end.

use std::time::{Duration, Instant};

/// The regular interval between two rounds of progress reports.
const PERIOD: Duration = Duration::from_secs(2);

/// The delay between a new import and the next round of progress reports.
const SOON: Duration = Duration::from_millis(100);

/// The pause after a round for each import that waits or runs, as the round may have written a
/// report for each. The whole pause is at most [`MAX_PAUSE`].
const PAUSE_EACH: Duration = Duration::from_millis(5);
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Decides when the next round of progress reports begins.
#[derive(Debug)]
pub struct ProgressSchedule {
    /// The time at which the next round begins. `None` while a round is running.
    next: Option<Instant>,
    /// The earliest time at which the next round may begin, even if a new import waits.
    rests_until: Instant,
    period: Duration,
    /// The pause after the current or the last round.
    pause: Duration,
    /// Whether an import was queued during the current round.
    is_requested: bool,
    is_busy: bool,
}

impl ProgressSchedule {
    /// Makes a schedule with at least one round of progress reports per `still_processing_every`.
    pub fn new(still_processing_every: Duration) -> Self {
        let period = PERIOD.min(still_processing_every);
        let now = Instant::now();
        Self {
            next: Some(now),
            rests_until: now,
            period,
            pause: Duration::ZERO,
            is_requested: false,
            is_busy: false,
        }
    }

    /// Returns whether a round begins at `now`. `imports` is the number of imports that wait or
    /// run.
    pub fn begin(&mut self, now: Instant, imports: usize) -> bool {
        self.is_busy = imports > 0;
        let begins = self.is_busy && self.next.is_some_and(|next| next <= now);
        if begins {
            self.next = None;
            let imports = u32::try_from(imports).unwrap_or(u32::MAX);
            self.pause = PAUSE_EACH.saturating_mul(imports).min(MAX_PAUSE);
        }
        begins
    }

    /// Requests a round soon after `now`, because an import was queued.
    pub fn request_soon(&mut self, now: Instant) {
        let soon = (now + SOON).max(self.rests_until);
        match &mut self.next {
            Some(next) if (now..soon).contains(next) => {}
            Some(next) => *next = soon,
            None => self.is_requested = true,
        }
    }

    /// Records that the current round has ended.
    pub fn finish(&mut self, now: Instant) {
        let is_requested = std::mem::take(&mut self.is_requested);
        self.rests_until = now + self.pause;
        let pause = if is_requested { SOON } else { self.period };
        self.next = Some((now + pause).max(self.rests_until));
    }

    /// Returns the time at which the next round begins. `None` if no import waits or runs.
    pub fn next(&self) -> Option<Instant> {
        self.next.filter(|_| self.is_busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_rounds_never_overlap_and_need_imports() {
        let mut schedule = ProgressSchedule::new(Duration::from_secs(3600));
        let now = Instant::now();
        assert!(!schedule.begin(now, 0));
        assert_eq!(schedule.next(), None);
        assert!(schedule.begin(now, 1));
        assert!(!schedule.begin(now, 1), "a round is running");
        schedule.finish(now);
        assert_eq!(schedule.next(), Some(now + PERIOD));
        assert!(!schedule.begin(now, 1));
        assert!(schedule.begin(now + PERIOD, 1));
    }

    #[test]
    fn the_pause_is_longer_when_many_imports_wait() {
        let mut schedule = ProgressSchedule::new(Duration::from_secs(3600));
        let now = Instant::now();
        let (two, five) = (Duration::from_secs(2), Duration::from_secs(5));
        for (imports, next, after_request) in [
            (1, PERIOD, SOON),
            (400, two, two),
            (1000, five, five),
            (usize::MAX, MAX_PAUSE, MAX_PAUSE),
        ] {
            assert!(schedule.begin(now, imports));
            schedule.finish(now);
            assert_eq!(schedule.next(), Some(now + next), "{imports}");
            schedule.request_soon(now);
            assert_eq!(schedule.next(), Some(now + after_request), "{imports}");
            schedule.next = Some(now);
        }
    }

    #[test]
    fn a_new_import_is_reported_after_a_delay() {
        let mut schedule = ProgressSchedule::new(Duration::from_secs(1));
        let now = Instant::now();
        assert!(schedule.begin(now, 1));
        schedule.request_soon(now);
        schedule.finish(now);
        assert!(!schedule.begin(now, 1));
        assert!(schedule.begin(now + SOON, 1));
        schedule.finish(now);
        assert!(
            schedule.begin(now + Duration::from_secs(1), 1),
            "rounds are as frequent as still_processing"
        );
        schedule.finish(now);
        let later = now + Duration::from_secs(60);
        schedule.request_soon(later);
        assert!(!schedule.begin(later, 1), "the delay also applies after an idle time");
        assert!(schedule.begin(later + SOON, 1));
    }
}
