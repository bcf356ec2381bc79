//! Decides about the state of an import. All functions are pure.

use std::time::Duration;

use crate::report::{Counts, Failure, FailureText, ImportState};

/// The maximum pause between two attempts to run an import.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// The decision about an import that is about to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartDecision {
    /// The import is read and stored.
    Run,
    /// The import is answered with this failure, and its data is not read.
    Answer(Failure),
    /// The import is answered with this failure, because it was interrupted too often. If the store
    /// has the import, it runs again instead.
    SetAside(Failure),
}

/// Decides about an import that was interrupted `starts` times before.
///
/// A refused pair is answered and never run. An import that crashed the process `max_starts` times
/// is set aside, so that it cannot crash the process forever.
pub fn on_start(refusal: Option<&Failure>, starts: u32, max_starts: u32) -> StartDecision {
    if let Some(refusal) = refusal {
        return StartDecision::Answer(refusal.clone());
    }
    if starts >= max_starts {
        let detail = format!(
            "the import was interrupted {starts} times and is set aside; see the daemon's log"
        );
        return StartDecision::SetAside(Failure::new(FailureText::Internal, detail));
    }
    StartDecision::Run
}

/// Returns whether a stored import that was interrupted `starts` times runs again for its answer.
/// It gets another `max_starts` runs. After those, the store's counts are the answer.
pub fn may_run_for_answer(starts: u32, max_starts: u32) -> bool {
    starts < max_starts.saturating_mul(2)
}

/// Returns the final state of an import. The state is failed if the file as a whole failed or every
/// record was rejected.
pub fn final_state(counts: Counts, failure: Option<&Failure>) -> ImportState {
    if failure.is_some() || counts.accepted == 0 {
        ImportState::Failed
    } else {
        ImportState::Completed
    }
}

/// The decision after a failure of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryDecision {
    /// The import runs again after this pause.
    Retry(Duration),
    /// The retry window has ended, so the import fails.
    GiveUp,
}

/// Returns the pause after the failed attempt with the number `tries`, which counts consecutive
/// failures from 1. The pause is 1, 2, 4 … at most 60 seconds.
pub fn pause(tries: u32) -> Duration {
    Duration::from_secs(1 << tries.saturating_sub(1).min(6)).min(MAX_PAUSE)
}

/// Decides whether an import runs again after the host failed for the `tries`th time in a row (from
/// 1). `elapsed` is the time since the first failure. The import runs again after [`pause`], until
/// `window` has ended.
pub fn after_host_failure(tries: u32, elapsed: Duration, window: Duration) -> RetryDecision {
    let pause = pause(tries);
    if elapsed + pause > window { RetryDecision::GiveUp } else { RetryDecision::Retry(pause) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_pair_is_answered() {
        let refusal = Failure::new(FailureText::NoDataFile, "e.csv");
        assert_eq!(on_start(Some(&refusal), 0, 3), StartDecision::Answer(refusal.clone()));
    }

    #[test]
    fn an_import_that_always_crashes_is_set_aside() {
        assert_eq!(on_start(None, 2, 3), StartDecision::Run);
        let StartDecision::SetAside(failure) = on_start(None, 3, 3) else {
            panic!("ran a fourth time")
        };
        assert_eq!(failure.message, FailureText::Internal);
        assert!(may_run_for_answer(5, 3) && !may_run_for_answer(6, 3));
    }

    #[test]
    fn an_import_fails_if_every_record_is_rejected() {
        let counts = |accepted, rejected| Counts { read: accepted + rejected, accepted, rejected };
        assert_eq!(final_state(counts(1, 9), None), ImportState::Completed);
        assert_eq!(final_state(counts(0, 9), None), ImportState::Failed);
        let failure = Failure::new(FailureText::Unreadable, "");
        assert_eq!(final_state(counts(1, 0), Some(&failure)), ImportState::Failed);
    }

    #[test]
    fn host_failures_are_retried_within_the_window() {
        let seconds = Duration::from_secs;
        let window = seconds(600);
        assert_eq!(after_host_failure(1, seconds(0), window), RetryDecision::Retry(seconds(1)));
        assert_eq!(after_host_failure(4, seconds(9), window), RetryDecision::Retry(seconds(8)));
        assert_eq!(after_host_failure(99, seconds(9), window), RetryDecision::Retry(seconds(60)));
        assert_eq!(after_host_failure(9, seconds(590), window), RetryDecision::GiveUp);
    }
}
