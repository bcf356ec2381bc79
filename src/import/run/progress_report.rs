//! Progress reports of unfinished imports: the report in results/ while an import waits and runs,
//! and the `still_processing` milestone after a time without a milestone.
//!
//! A round visits every unfinished import and writes the reports that have changed since the last
//! round. After a restart it writes all of them, so that no "running" of an ended process remains.
//! Invariant: once the final answer of an import is being written, no round overwrites it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::answer::{is_missing, result_name};
use super::progress::{Monitor, Progress};
use super::{milestone_log, transitions};
use crate::account::AccountId;
use crate::import::{Engine, ImportRow};
use crate::import_id::ImportId;
use crate::report::{ImportState, Report};
use crate::sanitize::chain;
use crate::spool::{Results, ResultsError};
use crate::state;
use crate::state::imports;
use crate::state::imports::unfinished;

/// How many places of an account's queue are kept up to date. A report further back keeps the
/// place written first until its import reaches this one.
const PLACES_KEPT: u64 = 100;

/// Milestones per round; each is a synced transaction.
const TOLD_BY_ONE_ROUND: u32 = 100;

/// The memory of all rounds. Lost at a restart and rebuilt.
#[derive(Debug, Default)]
pub struct Meanwhile {
    written: HashMap<ImportId, Written>,
    /// Imports whose final answer is being written.
    answering: HashSet<ImportId>,
}

/// The content of an import's report in results/.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Queued {
        place: u64,
    },
    Running {
        records: u64,
        bytes: u64,
    },
    /// The report could not be written, which was logged.
    Nothing,
}

/// The progress of one unfinished import.
#[derive(Clone, Copy, Debug)]
struct Standing {
    /// Its place among the account's unfinished imports, from 1.
    place: u64,
    /// `None` if it does not run.
    progress: Option<Progress>,
}

impl Standing {
    fn written(self) -> Written {
        match self.progress {
            None => Written::Queued { place: self.place },
            Some(Progress { records, bytes, .. }) => Written::Running { records, bytes },
        }
    }

    /// Whether the report has changed enough to be written again.
    fn is_news(self, written: Option<&Written>) -> bool {
        match (self.written(), written) {
            (now, Some(then)) if now == *then => false,
            (Written::Queued { place }, Some(Written::Queued { .. })) => place <= PLACES_KEPT,
            _ => true,
        }
    }

    /// Makes the report of `row`, which has not ended.
    fn report(self, row: &ImportRow, now: Timestamp) -> Report {
        let begun = super::running(row, row.started_at.unwrap_or(now));
        match self.progress {
            None => Report {
                state: ImportState::Queued,
                place: Some(self.place),
                started_at: row.started_at,
                ..begun
            },
            Some(progress) => Report {
                records: progress.counts(),
                bytes: progress.total_bytes,
                progress: Some(progress.told(now)),
                ..begun
            },
        }
    }
}

/// Keeps rounds from writing an import's report until dropped.
pub struct Answering<'a>(&'a Engine, &'a ImportId);

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.0.meanwhile().answering.remove(self.1);
    }
}

impl Engine {
    /// Announces that the final answer of `import` is about to be written.
    pub fn answering<'a>(&'a self, import: &'a ImportId) -> Answering<'a> {
        self.meanwhile().answering.insert(import.clone());
        Answering(self, import)
    }

    fn meanwhile(&self) -> MutexGuard<'_, Meanwhile> {
        // After a panic one report may be written once too often, or one change late.
        self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one round. `running` are the running imports with their monitors. Returns whether
    /// milestones were enqueued.
    pub fn tell_meanwhile(&self, running: &[(ImportId, Arc<Monitor>)]) -> state::Result<bool> {
        let waiting = self.state.read(unfinished::list)?;
        let standings = standings(&waiting, running);
        self.meanwhile().written.retain(|import, _| standings.contains_key(import));
        for (import, _) in &waiting {
            let Some(standing) = standings.get(import) else { continue };
            if standing.is_news(self.meanwhile().written.get(import)) {
                self.write_meanwhile(import, *standing)?;
            }
        }
        self.tell_still_processing(&standings)
    }

    /// Writes the report on `import` into results/, unless it has ended.
    fn write_meanwhile(&self, import: &ImportId, standing: Standing) -> state::Result<()> {
        // Held until it is written: a final answer waits for this lock.
        let mut meanwhile = self.meanwhile();
        if meanwhile.answering.contains(import) {
            return Ok(());
        }
        let row: Option<ImportRow> = self.state.read(|tx| imports::get(tx, import.as_str()))?;
        let Some(row) = row.filter(|row| row.report.is_none()) else { return Ok(()) };
        let written = match self.put_report(&row, &standing.report(&row, Timestamp::now())) {
            Ok(()) => standing.written(),
            Err(error) if is_missing(&error) => Written::Nothing, // the account was removed
            Err(error) => {
                if meanwhile.written.get(import) != Some(&Written::Nothing) {
                    tracing::warn!(account = %row.account, %import,
                        "cannot write a progress report into results/: {}", chain(&error));
                }
                Written::Nothing
            }
        };
        meanwhile.written.insert(import.clone(), written);
        Ok(())
    }

    fn put_report(&self, row: &ImportRow, report: &Report) -> Result<(), ResultsError> {
        // Serialising a report cannot fail: it has no map with other keys than text.
        let json = serde_json::to_vec_pretty(report).unwrap_or_default();
        let results = Results::open(&self.layout, &row.account)?;
        results.write_unsynced(&row.id, &result_name(row), &json)
    }

    /// Enqueues `still_processing` for imports whose last milestone is older than the configured
    /// interval.
    fn tell_still_processing(
        &self,
        standings: &HashMap<ImportId, Standing>,
    ) -> state::Result<bool> {
        let now = state::now();
        let every = self.config.milestones.still_processing_every.get();
        let Ok(then) = now.checked_sub(every) else { return Ok(false) };
        let silent =
            self.state.read(|tx| unfinished::list_without_news(tx, then, TOLD_BY_ONE_ROUND))?;
        let mut told = false;
        for import in silent {
            let Some(standing) = standings.get(&import) else { continue };
            let tell = self.state.write(|tx| {
                let row: Option<ImportRow> = imports::get(tx, import.as_str())?;
                match row {
                    Some(row) if unfinished::is_without_news(tx, then, &import)? => {
                        let report = standing.report(&row, now);
                        let is_new = transitions::still_processing(tx, &row, now, &report)?;
                        Ok::<_, transitions::FinishError>(is_new.then_some((row, report)))
                    }
                    _ => Ok(None), // it ended, or got a milestone, since the list was read
                }
            });
            match tell {
                Ok(Some((row, report))) => {
                    told = true;
                    milestone_log::still_processing(&row, &report);
                }
                Ok(None) => {}
                Err(error) => tracing::error!(%import,
                    "cannot enqueue still_processing: {}", chain(&error)),
            }
        }
        Ok(told)
    }
}

/// Returns the progress of each of `waiting`, which is sorted by account and order of claims.
fn standings(
    waiting: &[(ImportId, AccountId)],
    running: &[(ImportId, Arc<Monitor>)],
) -> HashMap<ImportId, Standing> {
    let running: HashMap<_, _> = running.iter().map(|(import, m)| (import, m)).collect();
    let mut standings = HashMap::with_capacity(waiting.len());
    let (mut account, mut place) = (None, 0);
    for (import, whose) in waiting {
        place = if account == Some(whose) { place + 1 } else { 1 };
        account = Some(whose);
        let progress = running.get(import).map(|monitor| monitor.progress());
        standings.insert(import.clone(), Standing { place, progress });
    }
    standings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_an_accounts_own() {
        let import = |n| ImportId::new("t", n).unwrap();
        let [a, b]: [AccountId; 2] = ["a", "b"].map(|id| id.parse().unwrap());
        let waiting =
            [(import(2), a.clone()), (import(5), a), (import(1), b.clone()), (import(3), b)];
        let monitor = Arc::new(Monitor::default());
        monitor.set_total(10);
        monitor.set(3, 5);
        let standings = standings(&waiting, &[(import(1), monitor)]);
        let written = |n| standings[&import(n)].written();
        assert_eq!(written(2), Written::Queued { place: 1 });
        assert_eq!(written(5), Written::Queued { place: 2 });
        assert_eq!(written(1), Written::Running { records: 3, bytes: 5 });
        assert_eq!(written(3), Written::Queued { place: 2 });
    }

    #[test]
    fn what_has_changed_is_news_but_not_far_back_in_the_queue() {
        let queued = |place| Standing { place, progress: None };
        assert!(queued(5000).is_news(None));
        assert!(!queued(7).is_news(Some(&Written::Queued { place: 7 })));
        assert!(queued(7).is_news(Some(&Written::Queued { place: 8 })));
        assert!(!queued(101).is_news(Some(&Written::Queued { place: 102 })));
        assert!(
            queued(101).is_news(Some(&Written::Running { records: 0, bytes: 0 })),
            "it stopped"
        );
        assert!(queued(7).is_news(Some(&Written::Nothing)), "tried again");
    }
}
