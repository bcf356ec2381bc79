//! Decides how often the supervisor's loop runs a round without a wake-up. This module is pure.

use std::time::{Duration, Instant};

/// The interval between two ticks while work is running or waiting.
const BUSY: Duration = Duration::from_secs(1);
/// The interval between two ticks while the daemon is idle.
const IDLE: Duration = Duration::from_secs(15);

/// The time of the last tick, and the interval between ticks while the daemon is idle.
#[derive(Debug)]
pub struct Tick {
    last: Instant,
    idle: Duration,
}

impl Tick {
    /// Starts the ticks at `now`. `watchdog` is the interval at which the watchdog must be fed, if
    /// any.
    pub fn new(now: Instant, watchdog: Option<Duration>) -> Self {
        Self { last: now, idle: watchdog.map_or(IDLE, |every| every.min(IDLE)) }
    }

    /// Returns the time at which the next tick is due.
    pub fn next(&self, is_busy: bool) -> Instant {
        self.last + if is_busy { BUSY.min(self.idle) } else { self.idle }
    }

    /// Returns whether a tick is due at `now`, and starts the next interval if so.
    pub fn restart_if_due(&mut self, now: Instant, is_busy: bool) -> bool {
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
    fn idle_ticks_are_slow_but_notify_the_watchdog() {
        let now = Instant::now();
        let mut tick = Tick::new(now, None);
        assert!(!tick.restart_if_due(now + BUSY, false));
        assert!(
            tick.restart_if_due(now + BUSY, true),
            "the interval is shorter after work has begun"
        );
        assert!(!tick.restart_if_due(now + BUSY, true), "a tick is due once per interval");
        assert_eq!(tick.next(false), now + BUSY + IDLE);
        let short = Duration::from_millis(100);
        let tick = Tick::new(now, Some(short));
        assert_eq!([true, false].map(|is_busy| tick.next(is_busy)), [now + short; 2]);
        assert_eq!(Tick::new(now, Some(2 * IDLE)).next(false), now + IDLE);
    }
}
