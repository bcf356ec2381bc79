//! Decisions about an import's state. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::config::{Period, Retention};
use crate::report::{Counts, Failure, FailureText, ImportState};

/// What to do with an import that is about to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Read and store it.
    Run,
    /// Answer it with this failure, without touching its data.
    Answer(Failure),
    /// The same for one that was cut off too often, unless it is stored.
    SetAside(Failure),
}

/// Whether an import that was cut off `starts` times before may begin once more.
///
/// A refused pair is answered, never run. An import that took the process down with it
/// `max_starts` times is set aside: it must not do so for ever.
pub fn on_start(refusal: Option<&Failure>, starts: u32, max_starts: u32) -> Start {
    if let Some(refusal) = refusal {
        return Start::Answer(refusal.clone());
    }
    if starts >= max_starts {
        let detail = format!("it was cut off {starts} times and is set aside; the log says why");
        return Start::SetAside(Failure::new(FailureText::Internal, detail));
    }
    Start::Run
}

/// Whether an import that is stored already, and was cut off `starts` times, is run again for its
/// answer: as often as another is run at all. Then it is answered by what the store says.
pub fn may_run_for_its_answer(starts: u32, max_starts: u32) -> bool {
    starts < max_starts.saturating_mul(2)
}

/// How an import ends: failed when the file as a whole failed or every record was rejected.
pub fn ended(counts: Counts, failure: Option<&Failure>) -> ImportState {
    if failure.is_some() || counts.accepted == 0 {
        ImportState::Failed
    } else {
        ImportState::Completed
    }
}

/// What to do when the host failed an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterHostFailure {
    /// Try again after this long.
    Retry(Duration),
    /// The retry window is over: fail it.
    GiveUp,
}

/// How long to wait after the `tries`th try (from 1) in a row that came to nothing: 1, 2, 4 … at
/// most 60 s.
pub fn pause(tries: u32) -> Duration {
    Duration::from_secs(1 << tries.saturating_sub(1).min(6)).min(MAX_PAUSE)
}

/// Whether an import that the host failed for the `tries`th time in a row (from 1), `elapsed`
/// after the first of them, is tried again: after [`pause`], until `window` is over.
pub fn after_host_failure(tries: u32, elapsed: Duration, window: Duration) -> AfterHostFailure {
    let pause = pause(tries);
    if elapsed + pause > window { AfterHostFailure::GiveUp } else { AfterHostFailure::Retry(pause) }
}

/// Whether an import's spooled files have served: it completed, or failed, and they were kept for
/// their time. Files that no import knows are kept as those of failed ones are, since they were
/// last `changed`: they are somebody's uploads, and a state database that was put back from a
/// backup does not make them worthless.
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

/// The longest pause between two tries.
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
