//! Decides when a survey reads the pending work from the state database. This module is pure.

use std::time::{Duration, Instant};

/// The pause after a survey that failed.
const PAUSE: Duration = Duration::from_secs(5);

/// The requested kind of survey. Two requests are merged into one request that covers both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SurveyRequest {
    accounts: AccountsRead,
    scan_all: bool,
}

/// The condition under which a survey reads the accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum AccountsRead {
    #[default]
    Never,
    /// The accounts are read if another process changed the state database.
    IfChanged,
    Always,
}

impl SurveyRequest {
    const NONE: Self = Self { accounts: AccountsRead::Never, scan_all: false };
    /// The request for a survey only if another process changed the state database.
    pub const IF_CHANGED: Self = Self { accounts: AccountsRead::IfChanged, ..Self::NONE };
    /// The request for a survey in any case.
    pub const SURVEY: Self = Self { accounts: AccountsRead::Always, ..Self::NONE };
    /// The request of the regular rescan: a survey if something changed, and a scan of every
    /// account.
    pub const RESCAN: Self = Self { scan_all: true, ..Self::IF_CHANGED };
    /// The request for a survey in any case, and for a scan of every account.
    pub const SCAN_ALL: Self = Self { scan_all: true, ..Self::SURVEY };

    fn merge(self, other: Self) -> Self {
        let accounts = self.accounts.max(other.accounts);
        Self { accounts, scan_all: self.scan_all || other.scan_all }
    }
}

/// A survey that is about to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SurveyOrder {
    /// The version of the state database whose accounts are known.
    pub known: Option<i64>,
    /// Whether every account is to be scanned after the survey.
    pub scan_all: bool,
}

/// The pending request for a survey, and the running survey.
#[derive(Debug, Default)]
pub struct SurveySchedule {
    requested: SurveyRequest,
    running: Option<SurveyRequest>,
    not_before: Option<Instant>,
    known: Option<i64>,
}

impl SurveySchedule {
    /// Requests a survey.
    pub fn request(&mut self, requested: SurveyRequest) {
        self.requested = self.requested.merge(requested);
    }

    /// Returns whether a request for a survey is pending.
    pub fn is_requested(&self) -> bool {
        self.requested != SurveyRequest::NONE
    }

    /// Begins the pending survey, if it may begin at `now`.
    pub fn begin(&mut self, now: Instant) -> Option<SurveyOrder> {
        let waits = self.not_before.is_some_and(|at| at > now);
        if self.running.is_some() || self.requested == SurveyRequest::NONE || waits {
            return None;
        }
        let requested = std::mem::take(&mut self.requested);
        self.running = Some(requested);
        let known = self.known.filter(|_| requested.accounts == AccountsRead::IfChanged);
        Some(SurveyOrder { known, scan_all: requested.scan_all })
    }

    /// Records that a survey of this version of the state database has ended. Returns whether the
    /// version is new.
    pub fn finish(&mut self, version: i64) -> bool {
        self.running = None;
        self.known.replace(version) != Some(version)
    }

    /// Records that the survey found no change.
    pub fn finish_unchanged(&mut self) {
        self.running = None;
    }

    /// Records that the survey failed. Its request becomes pending again.
    pub fn fail(&mut self, now: Instant) {
        if let Some(requested) = self.running.take() {
            self.request(requested);
        }
        self.not_before = Some(now + PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_during_a_survey_causes_another_survey() {
        let (mut schedule, now) = (SurveySchedule::default(), Instant::now());
        assert_eq!(schedule.begin(now), None);
        schedule.request(SurveyRequest::SCAN_ALL);
        schedule.request(SurveyRequest::IF_CHANGED);
        assert_eq!(schedule.begin(now), Some(SurveyOrder { known: None, scan_all: true }));
        schedule.request(SurveyRequest::IF_CHANGED);
        assert_eq!(schedule.begin(now), None, "only one survey may run at a time");
        assert!(schedule.finish(7));
        assert_eq!(schedule.begin(now), Some(SurveyOrder { known: Some(7), scan_all: false }));
        schedule.finish_unchanged();
        schedule.request(SurveyRequest::SURVEY);
        assert_eq!(schedule.begin(now), Some(SurveyOrder { known: None, scan_all: false }));
        assert!(!schedule.finish(7));
        assert_eq!(schedule.begin(now), None);
    }

    #[test]
    fn a_rescan_order_has_the_known_version() {
        let (mut schedule, now) = (SurveySchedule::default(), Instant::now());
        schedule.request(SurveyRequest::RESCAN);
        assert_eq!(
            schedule.begin(now),
            Some(SurveyOrder { known: None, scan_all: true }),
            "the first survey must begin"
        );
        schedule.finish(7);
        schedule.request(SurveyRequest::RESCAN);
        schedule.request(SurveyRequest::IF_CHANGED);
        assert_eq!(schedule.begin(now), Some(SurveyOrder { known: Some(7), scan_all: true }));
        schedule.request(SurveyRequest::RESCAN);
        schedule.request(SurveyRequest::SURVEY);
        schedule.fail(now);
        let order = schedule.begin(now + PAUSE);
        assert_eq!(order, Some(SurveyOrder { known: None, scan_all: true }));
    }

    #[test]
    fn a_failed_survey_is_repeated_after_a_pause() {
        let (mut schedule, now) = (SurveySchedule::default(), Instant::now());
        schedule.request(SurveyRequest::SCAN_ALL);
        let order = schedule.begin(now);
        schedule.fail(now);
        assert_eq!(schedule.begin(now), None);
        assert_eq!(schedule.begin(now + PAUSE), order);
    }
}
