//! How often the working loop comes round though nothing happens. Pure.
//!
//! Always holds: once a second while something is under way or waits, else a few times a minute, and
//! often enough for the watchdog either way.

use std::time::{Duration, Instant};

/// While something is under way or waits.
const BUSY: Duration = Duration::from_secs(1);
/// While nothing is.
const IDLE: Duration = Duration::from_secs(15);

/// When the loop came round last, by itself.
#[derive(Debug)]
pub struct Pulse {
    last: Instant,
    idle: Duration,
}

impl Pulse {
    /// From `now` on; the watchdog, where there is one, is fed every so often.
    pub fn new(now: Instant, watchdog: Option<Duration>) -> Self {
        Self { last: now, idle: watchdog.map_or(IDLE, |every| every.min(IDLE)) }
    }

    /// When the next one is due.
    pub fn next(&self, is_busy: bool) -> Instant {
        self.last + if is_busy { BUSY.min(self.idle) } else { self.idle }
    }

    /// Whether one is due at `now`; it is made then.
    pub fn beats(&mut self, now: Instant, is_busy: bool) -> bool {
        let is_due = self.next(is_busy) <= now;
        if is_due {
            self.last = now;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_slow_when_nothing_happens_and_never_too_slow_for_the_watchdog() {
        let now = Instant::now();
        let mut pulse = Pulse::new(now, None);
        assert!(!pulse.beats(now + BUSY, false));
        assert!(pulse.beats(now + BUSY, true), "something has come");
        assert!(!pulse.beats(now + BUSY, true), "once");
        assert_eq!(pulse.next(false), now + BUSY + IDLE);
        let short = Duration::from_millis(100);
        let pulse = Pulse::new(now, Some(short));
        assert_eq!([true, false].map(|is_busy| pulse.next(is_busy)), [now + short; 2]);
        assert_eq!(Pulse::new(now, Some(2 * IDLE)).next(false), now + IDLE);
    }
}
