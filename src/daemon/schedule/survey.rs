//! The schedule of surveys, which read the pending work from the state database. Pure.
//!
//! Invariant: one survey at a time; a request during a survey causes one more afterwards.

use std::time::{Duration, Instant};

/// Pause after a failed survey.
const PAUSE: Duration = Duration::from_secs(5);

/// The requested kind of survey. Two requests are merged into one that covers both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    accounts: When,
    look_at_all: bool,
}

/// When a survey reads the accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum When {
    #[default]
    Never,
    /// If another process changed the state database.
    IfChanged,
    Always,
}

impl Wanted {
    const NOTHING: Self = Self { accounts: When::Never, look_at_all: false };
    /// A survey if another process changed the state database.
    pub const IF_CHANGED: Self = Self { accounts: When::IfChanged, ..Self::NOTHING };
    /// A survey in any case.
    pub const SURVEY: Self = Self { accounts: When::Always, ..Self::NOTHING };
    /// The regular rescan: a survey if something changed, and a scan of every account.
    pub const RESCAN: Self = Self { look_at_all: true, ..Self::IF_CHANGED };
    /// A survey in any case, and a scan of every account.
    pub const LOOK_AT_ALL: Self = Self { look_at_all: true, ..Self::SURVEY };

    fn and(self, other: Self) -> Self {
        let accounts = self.accounts.max(other.accounts);
        Self { accounts, look_at_all: self.look_at_all || other.look_at_all }
    }
}

/// A survey that is about to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The version of the state database whose accounts are known.
    pub known: Option<i64>,
    /// Whether every account is to be scanned.
    pub look_at_all: bool,
}

/// The pending request and the running survey.
#[derive(Debug, Default)]
pub struct Surveys {
    wanted: Wanted,
    under_way: Option<Wanted>,
    not_before: Option<Instant>,
    known: Option<i64>,
}

impl Surveys {
    /// Requests a survey.
    pub fn want(&mut self, wanted: Wanted) {
        self.wanted = self.wanted.and(wanted);
    }

    /// Whether a request is pending.
    pub fn is_wanted(&self) -> bool {
        self.wanted != Wanted::NOTHING
    }

    /// Begins the pending survey, if it may begin at `now`.
    pub fn begin(&mut self, now: Instant) -> Option<Order> {
        let waits = self.not_before.is_some_and(|at| at > now);
        if self.under_way.is_some() || self.wanted == Wanted::NOTHING || waits {
            return None;
        }
        let wanted = std::mem::take(&mut self.wanted);
        self.under_way = Some(wanted);
        let known = self.known.filter(|_| wanted.accounts == When::IfChanged);
        Some(Order { known, look_at_all: wanted.look_at_all })
    }

    /// Notes that a survey of this version of the state database has ended. Returns whether the
    /// version is new.
    pub fn done(&mut self, version: i64) -> bool {
        self.under_way = None;
        self.known.replace(version) != Some(version)
    }

    /// Notes that the survey found no change.
    pub fn unchanged(&mut self) {
        self.under_way = None;
    }

    /// Notes that the survey failed: its request is pending again.
    pub fn failed(&mut self, now: Instant) {
        if let Some(wanted) = self.under_way.take() {
            self.want(wanted);
        }
        self.not_before = Some(now + PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_during_a_survey_makes_one_more() {
        let (mut surveys, now) = (Surveys::default(), Instant::now());
        assert_eq!(surveys.begin(now), None);
        surveys.want(Wanted::LOOK_AT_ALL);
        surveys.want(Wanted::IF_CHANGED);
        assert_eq!(surveys.begin(now), Some(Order { known: None, look_at_all: true }));
        surveys.want(Wanted::IF_CHANGED);
        assert_eq!(surveys.begin(now), None, "one at a time");
        assert!(surveys.done(7));
        assert_eq!(surveys.begin(now), Some(Order { known: Some(7), look_at_all: false }));
        surveys.unchanged();
        surveys.want(Wanted::SURVEY);
        assert_eq!(surveys.begin(now), Some(Order { known: None, look_at_all: false }));
        assert!(!surveys.done(7));
        assert_eq!(surveys.begin(now), None);
    }

    #[test]
    fn a_rescan_goes_by_what_is_known_unless_more_is_wanted() {
        let (mut surveys, now) = (Surveys::default(), Instant::now());
        surveys.want(Wanted::RESCAN);
        assert_eq!(surveys.begin(now), Some(Order { known: None, look_at_all: true }), "the first");
        surveys.done(7);
        surveys.want(Wanted::RESCAN);
        surveys.want(Wanted::IF_CHANGED);
        assert_eq!(surveys.begin(now), Some(Order { known: Some(7), look_at_all: true }));
        surveys.want(Wanted::RESCAN);
        surveys.want(Wanted::SURVEY);
        surveys.failed(now);
        let order = surveys.begin(now + PAUSE);
        assert_eq!(order, Some(Order { known: None, look_at_all: true }));
    }

    #[test]
    fn one_that_failed_stays_wanted_and_waits() {
        let (mut surveys, now) = (Surveys::default(), Instant::now());
        surveys.want(Wanted::LOOK_AT_ALL);
        let order = surveys.begin(now);
        surveys.failed(now);
        assert_eq!(surveys.begin(now), None);
        assert_eq!(surveys.begin(now + PAUSE), order);
    }
}
