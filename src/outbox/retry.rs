//! Decides when a delivery is attempted again and when it is given up.
//!
//! Pure: the clock and the random number are arguments.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The waits between attempts: the nth is from the nth attempt to the next one (Standard Webhooks
/// 1.0, "deliverability and reliability"). The first attempt is made immediately, and nine follow
/// within four days.
pub const SCHEDULE: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(5 * 3600),
    Duration::from_secs(10 * 3600),
    Duration::from_secs(14 * 3600),
    Duration::from_secs(20 * 3600),
    Duration::from_secs(24 * 3600),
];

/// The maximum wait before the next attempt that a `Retry-After` header can request.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The largest fraction of a wait that jitter adds. Jitter spreads the retries of attempts that
/// failed at the same time.
const JITTER: f64 = 0.2;

/// The maximum wait between two attempts, with jitter.
pub const LONGEST_WAIT: Duration = Duration::from_secs(29 * 3600);

/// The outcome of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The server accepted the delivery. The text is the server's answer.
    Delivered(String),
    /// The attempt failed, and a later attempt may succeed.
    Later {
        why: String,
        /// The wait before the next attempt that the server requested; `None` if the server
        /// requested no wait.
        retry_after: Option<Duration>,
    },
    /// The attempt failed, and no later attempt at the delivery can succeed.
    Never(String),
    /// The endpoint answered 410 Gone.
    Gone(String),
    /// Mail is switched off in the configuration.
    NoMail,
}

impl AttemptOutcome {
    /// Returns the outcome [`Self::Later`] without a requested wait.
    pub fn later(why: impl Into<String>) -> Self {
        Self::Later { why: why.into(), retry_after: None }
    }

    /// Returns the answer of the server, or the reason why the server did not answer.
    pub fn text(&self) -> &str {
        match self {
            Self::Delivered(text) | Self::Never(text) | Self::Gone(text) => text,
            Self::Later { why, .. } => why,
            Self::NoMail => "no mail server is configured: [mail] url is empty",
        }
    }
}

/// The consequence that the outcome of an attempt has for its delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    Delivered,
    RetryAt(Timestamp),
    GiveUp,
    /// The delivery is given up, and its endpoint is disabled.
    DisableEndpoint,
}

/// Returns the next step after the `n`th attempt (counted from 1) at a delivery. The attempt ended
/// at `now`. `jitter` is a random number from 0 to 1.
pub fn next_step(outcome: &AttemptOutcome, n: u32, now: Timestamp, jitter: f64) -> NextStep {
    match outcome {
        AttemptOutcome::Delivered(_) => NextStep::Delivered,
        AttemptOutcome::Never(_) | AttemptOutcome::NoMail => NextStep::GiveUp,
        AttemptOutcome::Gone(_) => NextStep::DisableEndpoint,
        AttemptOutcome::Later { retry_after, .. } => {
            let Some(wait) = SCHEDULE.get((n.max(1) - 1) as usize) else { return NextStep::GiveUp };
            let wait = wait.mul_f64(1.0 + JITTER * jitter.clamp(0.0, 1.0));
            let asked = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
            let at = now.checked_add(wait.max(asked)).unwrap_or(Timestamp::MAX);
            NextStep::RetryAt(at)
        }
    }
}

/// Reports whether a failure that began at `since` has lasted for the duration `long` at the time
/// `now`.
pub fn has_failed_for(since: Timestamp, now: Timestamp, long: Duration) -> bool {
    now.duration_since(since) >= SignedDuration::try_from(long).unwrap_or(SignedDuration::MAX)
}

/// Returns the wait that a `Retry-After` header asks for: seconds, or an HTTP date (RFC 9110,
/// 10.2.3).
///
/// `None` if the header has neither form. A date in the past results in no wait.
pub fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|b| b.is_ascii_digit()) {
        // Parsing fails only if the number has too many digits for a u64.
        let seconds = header.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    }
    let date = jiff::fmt::rfc2822::parse(header).ok()?.timestamp();
    let wait = date.duration_since(now).max(SignedDuration::ZERO);
    Some(wait.unsigned_abs().min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn failed_attempts_follow_the_schedule_until_given_up() {
        let (start, failed) = (at("2026-01-01T00:00:00Z"), AttemptOutcome::later("503"));
        let mut now = start;
        let mut waits = Vec::new();
        for n in 1..=9 {
            let NextStep::RetryAt(next) = next_step(&failed, n, now, 0.0) else {
                panic!("attempt {n}")
            };
            waits.push(next.duration_since(now).as_secs());
            now = next;
        }
        assert_eq!(waits, [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]);
        assert_eq!(next_step(&failed, 10, now, 0.0), NextStep::GiveUp);
        assert_eq!(next_step(&failed, u32::MAX, now, 0.0), NextStep::GiveUp);
    }

    #[test]
    fn jitter_only_adds_up_to_a_fifth() {
        let (now, failed) = (at("2026-01-01T00:00:00Z"), AttemptOutcome::later("x"));
        for (jitter, expected) in [(0.0, 300), (0.5, 330), (1.0, 360), (7.0, 360), (-1.0, 300)] {
            let wait = NextStep::RetryAt(now + SignedDuration::from_secs(expected));
            assert_eq!(next_step(&failed, 2, now, jitter), wait, "{jitter}");
        }
    }

    #[test]
    fn no_scheduled_wait_exceeds_the_longest_wait() {
        let longest = SCHEDULE.into_iter().chain([MAX_RETRY_AFTER]).max().unwrap();
        assert!(longest.mul_f64(1.0 + JITTER) <= LONGEST_WAIT);
    }

    #[test]
    fn retry_after_lengthens_waits_to_one_day() {
        let now = at("2026-01-01T00:00:00Z");
        for (seconds, expected) in [(1, 5), (60, 60), (10_000_000, 86_400)] {
            let asked = Some(Duration::from_secs(seconds));
            let outcome = AttemptOutcome::Later { why: "429".into(), retry_after: asked };
            let wait = NextStep::RetryAt(now + SignedDuration::from_secs(expected));
            assert_eq!(next_step(&outcome, 1, now, 0.0), wait, "{seconds}");
        }
    }

    #[test]
    fn final_outcomes_are_never_retried() {
        let now = at("2026-01-01T00:00:00Z");
        assert_eq!(
            next_step(&AttemptOutcome::Delivered("200".into()), 1, now, 0.0),
            NextStep::Delivered
        );
        assert_eq!(next_step(&AttemptOutcome::Never("550".into()), 1, now, 0.0), NextStep::GiveUp);
        assert_eq!(
            next_step(&AttemptOutcome::Gone("410".into()), 1, now, 0.0),
            NextStep::DisableEndpoint
        );
    }

    /// The last attempt at a delivery disables an endpoint that has failed since the first attempt.
    #[test]
    fn the_schedule_outlasts_the_limit_of_failing_endpoints() {
        let all: Duration = SCHEDULE.iter().sum();
        let disable_after = crate::config::Webhooks::default().disable_after.get();
        let since = at("2026-01-01T00:00:00Z");
        assert!(has_failed_for(
            since,
            since + SignedDuration::try_from(all).unwrap(),
            disable_after
        ));
        assert!(!has_failed_for(since, since + SignedDuration::from_hours(71), disable_after));
    }

    #[test]
    fn both_forms_of_retry_after_are_parsed() {
        let now = at("1994-11-06T08:49:00Z");
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(retry_after("120", now), seconds(120));
        assert_eq!(retry_after(" 0 ", now), seconds(0));
        assert_eq!(retry_after("99999999999999999999999", now), seconds(86_400));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), seconds(37));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), seconds(0));
        assert_eq!(retry_after("Fri, 06 Nov 2093 08:49:37 GMT", now), seconds(86_400));
        for nonsense in ["", "-1", "1.5", "soon", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(retry_after(nonsense, now), None, "{nonsense:?}");
        }
    }
}
