//! Decisions about an import's state. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::config::{Period, Retention};
use crate::report::{Counts, Failure, FailureText, ImportState};

/// The decision about an import that is about to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Read and store it.
    Run,
    /// Answer it with this failure, without reading its data.
    Answer(Failure),
    /// The same for an import that was interrupted too often, unless it is stored.
    SetAside(Failure),
}

/// Decides about an import that was interrupted `starts` times before.
///
/// A refused pair is answered and never run. An import that crashed the process `max_starts` times
/// is set aside, so that it doesn't do so forever.
pub fn on_start(refusal: Option<&Failure>, starts: u32, max_starts: u32) -> Start {
    if let Some(refusal) = refusal {
        return Start::Answer(refusal.clone());
    }
    if starts >= max_starts {
        let detail = format!("it was cut off {starts} times and is set aside; see the log");
        return Start::SetAside(Failure::new(FailureText::Internal, detail));
    }
    Start::Run
}

/// Whether an import that is stored already, and was interrupted `starts` times, is run again for
/// its answer. It gets another `max_starts` runs; after those the store's counts are the answer.
pub fn may_run_for_its_answer(starts: u32, max_starts: u32) -> bool {
    starts < max_starts.saturating_mul(2)
}

/// Returns how an import ends: failed if the file as a whole failed or every record was rejected.
pub fn ended(counts: Counts, failure: Option<&Failure>) -> ImportState {
    if failure.is_some() || counts.accepted == 0 {
        ImportState::Failed
    } else {
        ImportState::Completed
    }
}

/// The decision after a failure of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterHostFailure {
    /// Run it again after this pause.
    Retry(Duration),
    /// The retry window is over; the import fails.
    GiveUp,
}

/// Returns the pause after the `tries`th failed try in a row (from 1): 1, 2, 4 … at most 60 s.
pub fn pause(tries: u32) -> Duration {
    Duration::from_secs(1 << tries.saturating_sub(1).min(6)).min(MAX_PAUSE)
}

/// Decides whether an import runs again after the host failed it for the `tries`th time in a row
/// (from 1), `elapsed` after the first time: after [`pause`], until `window` is over.
pub fn after_host_failure(tries: u32, elapsed: Duration, window: Duration) -> AfterHostFailure {
    let pause = pause(tries);
    if elapsed + pause > window { AfterHostFailure::GiveUp } else { AfterHostFailure::Retry(pause) }
}

/// Whether an import's spooled files can be removed: it ended, and their retention is over.
///
/// Files that belong to no import are kept as long as those of failed imports, counted from
/// `changed`: they are uploads, which a state database restored from a backup may not know.
pub fn is_spent(
    import: Option<(ImportState, Option<Timestamp>)>,
    changed: Timestamp,
    now: Timestamp,
    retention: &Retention,
) -> bool {
    let over = |since: Timestamp, kept: Period| {
        kept.is_zero()
            || now.duration_since(since).try_into().is_ok_and(|d: Duration| d >= kept.get())
    };
    match import {
        None => over(changed, retention.failed_uploads),
        Some((ImportState::Completed, finished_at)) => {
            finished_at.is_some_and(|at| over(at, retention.completed_uploads))
        }
        Some((ImportState::Failed, finished_at)) => {
            finished_at.is_some_and(|at| over(at, retention.failed_uploads))
        }
        Some((ImportState::Claiming | ImportState::Queued | ImportState::Running, _)) => false,
    }
}

const MAX_PAUSE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_answered_whatever_else() {
        let refusal = Failure::new(FailureText::NoDataFile, "e.csv");
        assert_eq!(on_start(Some(&refusal), 0, 3), Start::Answer(refusal.clone()));
    }

    #[test]
    fn a_poisoned_import_is_set_aside() {
        assert_eq!(on_start(None, 2, 3), Start::Run);
        let Start::SetAside(failure) = on_start(None, 3, 3) else { panic!("ran a fourth time") };
        assert_eq!(failure.message, FailureText::Internal);
        assert!(may_run_for_its_answer(5, 3) && !may_run_for_its_answer(6, 3));
    }

    #[test]
    fn all_rejected_is_failed() {
        let counts = |accepted, rejected| Counts { read: accepted + rejected, accepted, rejected };
        assert_eq!(ended(counts(1, 9), None), ImportState::Completed);
        assert_eq!(ended(counts(0, 9), None), ImportState::Failed);
        let failure = Failure::new(FailureText::Unreadable, "");
        assert_eq!(ended(counts(1, 0), Some(&failure)), ImportState::Failed);
    }

    #[test]
    fn host_failures_are_tried_again_until_the_window_is_over() {
        let seconds = Duration::from_secs;
        let window = seconds(600);
        assert_eq!(after_host_failure(1, seconds(0), window), AfterHostFailure::Retry(seconds(1)));
        assert_eq!(after_host_failure(4, seconds(9), window), AfterHostFailure::Retry(seconds(8)));
        assert_eq!(
            after_host_failure(99, seconds(9), window),
            AfterHostFailure::Retry(seconds(60))
        );
        assert_eq!(after_host_failure(9, seconds(590), window), AfterHostFailure::GiveUp);
    }

    #[test]
    fn spooled_files_are_kept_as_long_as_somebody_may_want_them() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let kept = |completed_uploads, failed_uploads| Retention {
            completed_uploads: Period::seconds(completed_uploads),
            failed_uploads: Period::seconds(failed_uploads),
            ..Retention::default()
        };
        let spent = |import, now| is_spent(import, at(0), at(now), &kept(0, 100));
        for state in [ImportState::Claiming, ImportState::Queued, ImportState::Running] {
            assert!(!spent(Some((state, None)), 1000), "{state:?}");
        }
        assert!(spent(Some((ImportState::Completed, Some(at(0)))), 0));
        assert!(!spent(Some((ImportState::Failed, Some(at(50)))), 149));
        assert!(spent(Some((ImportState::Failed, Some(at(50)))), 150));
        assert!(!spent(Some((ImportState::Failed, Some(at(50)))), 0), "the clock was set back");
        assert!(!spent(None, 99));
        assert!(spent(None, 100));
        let completed = Some((ImportState::Completed, Some(at(50))));
        assert!(!is_spent(completed, at(0), at(59), &kept(10, 0)));
        assert!(is_spent(completed, at(0), at(60), &kept(10, 0)));
    }
}
