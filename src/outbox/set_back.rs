//! Whether the host's clock was set back, so that what is to be attempted later is not attempted
//! that much later still. Pure: both clocks' times are arguments.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

/// Clocks are disciplined by less.
const SLACK: SignedDuration = SignedDuration::from_secs(60);

/// What both clocks said last.
#[derive(Debug)]
pub(super) struct Clocks {
    monotonic: Instant,
    wall: Timestamp,
}

impl Clocks {
    /// What they say now.
    pub(super) fn new(monotonic: Instant, wall: Timestamp) -> Self {
        Self { monotonic, wall }
    }

    /// How far the host's clock was set back since this was asked last.
    pub(super) fn set_back(
        &mut self,
        monotonic: Instant,
        wall: Timestamp,
    ) -> Option<SignedDuration> {
        let passed = monotonic.saturating_duration_since(self.monotonic);
        let passed = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
        let back = passed.saturating_sub(wall.duration_since(self.wall));
        *self = Self { monotonic, wall };
        (back > SLACK).then_some(back)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_set_back_is_noticed_once_and_one_set_forward_is_none() {
        let (start, second) = (Instant::now(), SignedDuration::from_secs(1));
        let at = |n: i32| Timestamp::from_second(1_700_000_000).unwrap() + second * n;
        let after = |n| start + Duration::from_secs(n);
        let mut clocks = Clocks::new(start, at(0));
        assert_eq!(clocks.set_back(after(30), at(30)), None);
        assert_eq!(clocks.set_back(after(60), at(30)), None, "within what is usual");
        assert_eq!(clocks.set_back(after(70), at(-3560)), Some(second * 3600));
        assert_eq!(clocks.set_back(after(80), at(-3550)), None);
        assert_eq!(clocks.set_back(after(90), at(900_000)), None);
    }
}
