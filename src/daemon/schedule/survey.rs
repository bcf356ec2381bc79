//! When to read from the state database what there is to do. Pure.
//!
//! Always holds: one survey at a time, and a wish that comes during one makes one more afterwards.

use std::time::{Duration, Instant};

/// After a survey that failed, the next one waits this long.
const PAUSE: Duration = Duration::from_secs(5);

/// Which survey is wanted. Two wishes are one that has what either has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    accounts: When,
    look_at_all: bool,
}

/// When accounts and watches are gone through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum When {
    #[default]
    Never,
    /// If another process changed the state database.
    IfChanged,
    Always,
}

impl Wanted {
    /// None.
    const NOTHING: Self = Self { accounts: When::Never, look_at_all: false };
    /// If another process changed the state database.
    pub const IF_CHANGED: Self = Self { accounts: When::IfChanged, ..Self::NOTHING };
    /// In any case.
    pub const SURVEY: Self = Self { accounts: When::Always, ..Self::NOTHING };
    /// A look at every account, of which nothing says that it is needed.
    pub const RESCAN: Self = Self { look_at_all: true, ..Self::IF_CHANGED };
    /// In any case, and a look at every account.
    pub const LOOK_AT_ALL: Self = Self { look_at_all: true, ..Self::SURVEY };

    fn and(self, other: Self) -> Self {
        let accounts = self.accounts.max(other.accounts);
        Self { accounts, look_at_all: self.look_at_all || other.look_at_all }
    }
}

/// A survey to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The version of the state database whose accounts are known.
    pub known: Option<i64>,
    /// Whether every account is looked at afterwards.
    pub look_at_all: bool,
}

/// Wishes, and the survey under way.
#[derive(Debug, Default)]
pub struct Surveys {
    wanted: Wanted,
    under_way: Option<Wanted>,
    not_before: Option<Instant>,
    known: Option<i64>,
}

impl Surveys {
    /// Somebody wants one.
    pub fn want(&mut self, wanted: Wanted) {
        self.wanted = self.wanted.and(wanted);
    }

    /// Whether one waits until it can be made.
    pub fn is_wanted(&self) -> bool {
        self.wanted != Wanted::NOTHING
    }

    /// The survey to make at `now`, if any.
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

    /// It is made, of this version of the state database. Returns whether that is a new one.
    pub fn done(&mut self, version: i64) -> bool {
        self.under_way = None;
        self.known.replace(version) != Some(version)
    }

    /// It found nothing new.
    pub fn unchanged(&mut self) {
        self.under_way = None;
    }

    /// It could not be made: it stays wanted.
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
