//! When to tell of imports that have not ended. Pure.
//!
//! Always holds: one round at a time, none while nothing waits or runs, and a new import's first
//! one soon after its claim, but not on its way: most have ended by then.

use std::time::{Duration, Instant};

/// How often what is told is brought up to date.
const PERIOD: Duration = Duration::from_secs(2);

/// A new import is told of after this.
const SOON: Duration = Duration::from_millis(100);

/// A round that took long, as much waits, is followed by a pause of this many times as long, and
/// [`MAX_PAUSE`] at most.
const PAUSE_FACTOR: u32 = 20;
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// The round that comes next.
#[derive(Debug)]
pub struct Telling {
    /// None while one is under way.
    next: Option<Instant>,
    /// When the last one began.
    began: Instant,
    /// No round before this, whatever is new.
    rests_until: Instant,
    period: Duration,
    /// Something new came during the round that is under way.
    again: bool,
    is_busy: bool,
}

impl Telling {
    /// Rounds at least as often as `still_processing` may come.
    pub fn new(still_processing_every: Duration) -> Self {
        let period = PERIOD.min(still_processing_every);
        let now = Instant::now();
        Self { next: Some(now), began: now, rests_until: now, period, again: false, is_busy: false }
    }

    /// Whether a round begins at `now`; `is_busy` when imports wait or run.
    pub fn begin(&mut self, now: Instant, is_busy: bool) -> bool {
        self.is_busy = is_busy;
        let begins = is_busy && self.next.is_some_and(|next| next <= now);
        if begins {
            self.next = None;
            self.began = now;
        }
        begins
    }

    /// Something new waits since `now`.
    pub fn soon(&mut self, now: Instant) {
        let soon = (now + SOON).max(self.rests_until);
        match &mut self.next {
            Some(next) if (now..soon).contains(next) => {}
            Some(next) => *next = soon,
            None => self.again = true,
        }
    }

    /// The round is over.
    pub fn done(&mut self, now: Instant) {
        let again = std::mem::take(&mut self.again);
        let took = now.saturating_duration_since(self.began);
        self.rests_until = now + (PAUSE_FACTOR * took).min(MAX_PAUSE);
        let pause = if again { SOON } else { self.period };
        self.next = Some((now + pause).max(self.rests_until));
    }

    /// When the next one begins.
    pub fn next(&self) -> Option<Instant> {
        self.next.filter(|_| self.is_busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_round_at_a_time_and_none_for_nothing() {
        let mut telling = Telling::new(Duration::from_secs(3600));
        let now = Instant::now();
        assert!(!telling.begin(now, false));
        assert_eq!(telling.next(), None);
        assert!(telling.begin(now, true));
        assert!(!telling.begin(now, true), "under way");
        telling.done(now);
        assert_eq!(telling.next(), Some(now + PERIOD));
        assert!(!telling.begin(now, true));
        assert!(telling.begin(now + PERIOD, true));
    }

    #[test]
    fn a_long_round_is_followed_by_a_long_pause() {
        let mut telling = Telling::new(Duration::from_secs(3600));
        let now = Instant::now();
        assert!(telling.begin(now, true));
        telling.soon(now);
        let done = now + Duration::from_millis(500);
        telling.done(done);
        assert_eq!(telling.next(), Some(done + Duration::from_secs(10)));
        telling.soon(done);
        assert_eq!(telling.next(), Some(done + Duration::from_secs(10)), "whatever is new");
        assert!(telling.begin(done + Duration::from_secs(10), true));
        let done = done + Duration::from_secs(20);
        telling.done(done);
        assert_eq!(telling.next(), Some(done + MAX_PAUSE));
    }

    #[test]
    fn what_is_new_is_told_of_soon_but_not_at_once() {
        let mut telling = Telling::new(Duration::from_secs(1));
        let now = Instant::now();
        assert!(telling.begin(now, true));
        telling.soon(now);
        telling.done(now);
        assert!(!telling.begin(now, true));
        assert!(telling.begin(now + SOON, true));
        telling.done(now);
        assert!(telling.begin(now + Duration::from_secs(1), true), "as often as still_processing");
        telling.done(now);
        let later = now + Duration::from_secs(60);
        telling.soon(later);
        assert!(!telling.begin(later, true), "after an idle time too");
        assert!(telling.begin(later + SOON, true));
    }
}
