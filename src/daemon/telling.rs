//! When to tell of imports that have not ended. Pure.
//!
//! Always holds: one round at a time, none while nothing waits or runs, and a new import's first
//! one soon after its claim, but not on its way: most have ended by then.

use std::time::{Duration, Instant};

/// How often what is told is brought up to date.
const PERIOD: Duration = Duration::from_secs(2);

/// A new import is told of after this.
const SOON: Duration = Duration::from_millis(100);

/// The round that comes next.
#[derive(Debug)]
pub struct Telling {
    /// None while one is under way.
    next: Option<Instant>,
    period: Duration,
    /// Something new came during the round that is under way.
    again: bool,
    is_busy: bool,
}

impl Telling {
    /// Rounds at least as often as `still_processing` may come.
    pub fn new(still_processing_every: Duration) -> Self {
        let period = PERIOD.min(still_processing_every);
        Self { next: Some(Instant::now()), period, again: false, is_busy: false }
    }

    /// Whether a round begins at `now`; `is_busy` when imports wait or run.
    pub fn begin(&mut self, now: Instant, is_busy: bool) -> bool {
        self.is_busy = is_busy;
        let begins = is_busy && self.next.is_some_and(|next| next <= now);
        if begins {
            self.next = None;
        }
        begins
    }

    /// Something new waits since `now`.
    pub fn soon(&mut self, now: Instant) {
        match &mut self.next {
            Some(next) if (now..now + SOON).contains(next) => {}
            Some(next) => *next = now + SOON,
            None => self.again = true,
        }
    }

    /// The round is over.
    pub fn done(&mut self, now: Instant) {
        let again = std::mem::take(&mut self.again);
        self.next = Some(now + if again { SOON } else { self.period });
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
