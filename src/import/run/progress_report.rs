//! Progress reports of unfinished imports: the report in results/ while an import waits and runs,
//! and the `still_processing` milestone after a time without a milestone.
//!
//! A round visits every unfinished import and writes the reports that have changed since the last
//! round. After a restart it writes all reports, so that no report of an ended process still has
//! the state "running". Invariant: while the final answer of an import is being written, and after
//! that, no round overwrites the answer.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::answer::{self, is_missing, report_name};
use super::milestone_log;
use super::progress::{Monitor, ProgressSnapshot};
use super::transitions;
use crate::account::AccountId;
use crate::import::context::Context;
use crate::import::row::{self, ImportRow, running_report};
use crate::import_id::ImportId;
use crate::outbox;
use crate::report::{ImportState, Report};
use crate::sanitize::chain;
use crate::spool::Results;
use crate::state;
use crate::state::imports::{self, unfinished};

/// The number of places of an account's queue that are kept up to date. A report further back keeps
/// its first place until the import moves up to this place.
const PLACES_KEPT: u64 = 100;

/// The maximum number of milestones per round. Each milestone is a synced transaction.
const MILESTONES_PER_ROUND: u32 = 100;

/// Data that rounds of progress reports keep for later rounds. This data is lost at a restart and
/// then rebuilt.
#[derive(Debug, Default)]
pub struct ProgressReports(Mutex<RoundMemory>);

#[derive(Debug, Default)]
struct RoundMemory {
    written: HashMap<ImportId, ReportContent>,
    /// The imports whose final answer is being written.
    final_answers: HashSet<ImportId>,
}

/// The content of the report of an unfinished import in results/.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReportContent {
    Queued {
        place: u64,
    },
    Running {
        records: u64,
        bytes: u64,
    },
    /// The report could not be written, and the error was logged.
    Unwritten,
}

/// The progress of one unfinished import.
#[derive(Clone, Copy, Debug)]
struct ImportProgress {
    /// The import's place among the account's unfinished imports, counted from 1.
    place: u64,
    /// The progress of the current run. `None` if the import does not run.
    snapshot: Option<ProgressSnapshot>,
}

impl ImportProgress {
    fn content(self) -> ReportContent {
        match self.snapshot {
            None => ReportContent::Queued { place: self.place },
            Some(ProgressSnapshot { records, bytes, .. }) => {
                ReportContent::Running { records, bytes }
            }
        }
    }

    /// Returns whether the report has changed so much that it must be written again.
    fn needs_writing(self, written: Option<&ReportContent>) -> bool {
        match (self.content(), written) {
            (now, Some(then)) if now == *then => false,
            (ReportContent::Queued { place }, Some(ReportContent::Queued { .. })) => {
                place <= PLACES_KEPT
            }
            _ => true,
        }
    }

    /// Makes the report of `row`, an import that has not ended.
    fn report(self, row: &ImportRow, now: Timestamp) -> Report {
        let begun = running_report(row, row.started_at.unwrap_or(now));
        match self.snapshot {
            None => Report {
                state: ImportState::Queued,
                place: Some(self.place),
                started_at: row.started_at,
                ..begun
            },
            Some(snapshot) => Report {
                records: snapshot.counts(),
                bytes: snapshot.total_bytes,
                progress: Some(snapshot.to_report(now)),
                ..begun
            },
        }
    }
}

/// Prevents rounds from writing an import's report until this value is dropped.
pub struct FinalAnswer<'a>(&'a ProgressReports, &'a ImportId);

impl Drop for FinalAnswer<'_> {
    fn drop(&mut self) {
        self.0.lock().final_answers.remove(self.1);
    }
}

impl ProgressReports {
    /// Announces that the final answer of `import` is about to be written.
    pub fn begin_final_answer<'a>(&'a self, import: &'a ImportId) -> FinalAnswer<'a> {
        self.lock().final_answers.insert(import.clone());
        FinalAnswer(self, import)
    }

    fn lock(&self) -> MutexGuard<'_, RoundMemory> {
        // After a panic, one report may be written an additional time, or one change may be written
        // late.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs one round of progress reports. `running` has the running imports with their monitors.
/// Returns whether milestones were enqueued.
pub fn run_round(
    context: &Context,
    reports: &ProgressReports,
    running: &[(ImportId, Arc<Monitor>)],
) -> state::Result<bool> {
    let waiting = context.state.read(unfinished::list)?;
    let progress = progress_of(&waiting, running);
    reports.lock().written.retain(|import, _| progress.contains_key(import));
    for (import, account) in &waiting {
        let Some(progress) = progress.get(import) else { continue };
        if progress.needs_writing(reports.lock().written.get(import)) {
            write_report(context, reports, (import, account), *progress)?;
        }
    }
    enqueue_still_processing(context, &progress)
}

/// Writes the report on `import` into results/, unless it has ended.
fn write_report(
    context: &Context,
    reports: &ProgressReports,
    (import, account): (&ImportId, &AccountId),
    progress: ImportProgress,
) -> state::Result<()> {
    let _lock = context.answer_locks.lock(account);
    // The lock is held until the progress report is written, so that the progress report can't
    // replace the final report.
    let mut memory = reports.lock();
    if memory.final_answers.contains(import) {
        return Ok(());
    }
    let row = row::find(&context.state, import)?;
    let Some(row) = row.filter(|row| row.report.is_none()) else { return Ok(()) };
    let report = progress.report(&row, Timestamp::now());
    let result = Results::open(&context.layout, &row.account)
        .and_then(|r| r.write_unsynced(import, &report_name(&row), &answer::to_json(&report)));
    let written = match result {
        Ok(()) => progress.content(),
        // The account was removed, so it has no results folder.
        Err(error) if is_missing(&error) => ReportContent::Unwritten,
        Err(error) => {
            if memory.written.get(import) != Some(&ReportContent::Unwritten) {
                tracing::warn!(account = %row.account, %import,
                    "cannot write a progress report into results/: {}", chain(&error));
            }
            ReportContent::Unwritten
        }
    };
    memory.written.insert(import.clone(), written);
    Ok(())
}

/// Enqueues `still_processing` for imports whose last milestone is older than the configured
/// interval.
fn enqueue_still_processing(
    context: &Context,
    progress: &HashMap<ImportId, ImportProgress>,
) -> state::Result<bool> {
    let (state, now) = (&context.state, state::now());
    let every = context.config.milestones.still_processing_every.get();
    let Ok(then) = now.checked_sub(every) else { return Ok(false) };
    let silent = state.read(|tx| unfinished::list_without_news(tx, then, MILESTONES_PER_ROUND))?;
    let mut has_enqueued = false;
    for import in silent {
        let Some(progress) = progress.get(&import) else { continue };
        let enqueued = state.write(|tx| {
            let row: Option<ImportRow> = imports::get(tx, import.as_str())?;
            match row {
                Some(row) if unfinished::is_without_news(tx, then, &import)? => {
                    let report = progress.report(&row, now);
                    let is_new = transitions::enqueue_still_processing(tx, &row, now, &report)?;
                    Ok::<_, outbox::Error>(is_new.then_some((row, report)))
                }
                // The import has ended, or has a newer milestone.
                _ => Ok(None),
            }
        });
        match enqueued {
            Ok(Some((row, report))) => {
                has_enqueued = true;
                milestone_log::log_still_processing(&row, &report);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%import, "cannot enqueue still_processing: {}", chain(&error));
            }
        }
    }
    Ok(has_enqueued)
}

/// Returns the progress of each import in `waiting`, which is sorted by account and then by order
/// of claims.
fn progress_of(
    waiting: &[(ImportId, AccountId)],
    running: &[(ImportId, Arc<Monitor>)],
) -> HashMap<ImportId, ImportProgress> {
    let running: HashMap<_, _> = running.iter().map(|(import, m)| (import, m)).collect();
    let mut progress = HashMap::with_capacity(waiting.len());
    let (mut account, mut place) = (None, 0);
    for (import, owner) in waiting {
        place = if account == Some(owner) { place + 1 } else { 1 };
        account = Some(owner);
        let snapshot = running.get(import).map(|monitor| monitor.progress());
        progress.insert(import.clone(), ImportProgress { place, snapshot });
    }
    progress
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_for_each_account() {
        let import = |n| ImportId::new("t", n).unwrap();
        let [a, b]: [AccountId; 2] = ["a", "b"].map(|id| id.parse().unwrap());
        let waiting =
            [(import(2), a.clone()), (import(5), a), (import(1), b.clone()), (import(3), b)];
        let monitor = Arc::new(Monitor::default());
        monitor.set_total(10);
        monitor.set(3, 5);
        let progress = progress_of(&waiting, &[(import(1), monitor)]);
        let content = |n| progress[&import(n)].content();
        assert_eq!(content(2), ReportContent::Queued { place: 1 });
        assert_eq!(content(5), ReportContent::Queued { place: 2 });
        assert_eq!(content(1), ReportContent::Running { records: 3, bytes: 5 });
        assert_eq!(content(3), ReportContent::Queued { place: 2 });
    }

    #[test]
    fn small_changes_of_distant_places_are_not_written() {
        let queued = |place| ImportProgress { place, snapshot: None };
        assert!(queued(5000).needs_writing(None));
        assert!(!queued(7).needs_writing(Some(&ReportContent::Queued { place: 7 })));
        assert!(queued(7).needs_writing(Some(&ReportContent::Queued { place: 8 })));
        assert!(!queued(101).needs_writing(Some(&ReportContent::Queued { place: 102 })));
        assert!(
            queued(101).needs_writing(Some(&ReportContent::Running { records: 0, bytes: 0 })),
            "it stopped"
        );
        assert!(
            queued(7).needs_writing(Some(&ReportContent::Unwritten)),
            "a failed report must be written again"
        );
    }
}
