//! Reconciles a restored state database with the store, the spool and results/.
//!
//! Those are newer than the database then. A running number that the store knows must not be
//! assigned again, as the store would treat the new import as the old one. An import that has ended
//! since the backup has its answer in results/ and is not run again.

use std::io::Read;

use jiff::Timestamp;

use crate::account::AccountId;
use crate::import::run::answer::answer_names;
use crate::import::{Engine, ImportRow};
use crate::import_id::ImportId;
use crate::report::{ImportState, Report};
use crate::sanitize::chain;
use crate::spool::{self, Results, SpooledError};
use crate::state;
use crate::state::imports::unfinished;
use crate::state::{PreviousDatabase, activity, imports};
use crate::store;

/// The most bytes read of a report.
const MAX_REPORT: u64 = 16 << 20;

/// Why a restored state database can't be reconciled.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Spool(#[from] SpooledError),
    #[error(transparent)]
    State(#[from] state::Error),
}

/// What happened between backup and restore.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Imports that ended, according to their answers in results/.
    pub ended: Vec<ImportId>,
    /// Imports with files in the spool that the state database doesn't know.
    pub unknown: Vec<ImportId>,
}

impl Engine {
    /// Returns the imports that are unfinished in the database and have a final answer in results/.
    /// A failed one may still have its files in the spool; it is not run again.
    fn ended_since(&self) -> state::Result<Vec<(ImportRow, Report)>> {
        let waiting = self.state.read(|tx| {
            let rows: Vec<ImportRow> = imports::unfinished(tx)?;
            rows.into_iter()
                .map(|row| Ok((unfinished::retried_at(tx, &row.id)?, row)))
                .collect::<state::Result<Vec<_>>>()
        })?;
        let ended = waiting.into_iter().filter_map(|(retried, row)| {
            let report = self.answer_of(&row)?;
            // A report from before `import retry` is not the answer of this run.
            let is_its_end =
                retried.is_none_or(|at| report.finished_at.is_some_and(|end| end > at));
            is_its_end.then_some((row, report))
        });
        Ok(ended.collect())
    }

    /// Applies to the restored state database what happened since the backup, and what `before`
    /// keeps of the replaced database. It can be repeated after an error.
    pub fn adopt(&self, before: &PreviousDatabase, now: Timestamp) -> Result<Adopted, AdoptError> {
        let spooled = spool::list(&self.layout)?;
        let node = &self.config.node.name;
        let stored = self.store.imports()?;
        let known = stored.iter().chain(spooled.iter().map(|(import, _)| import));
        let last = known.filter_map(|import| import.number_at(node)).max();
        let ended = self.ended_since()?;
        self.state.write(|tx| {
            state::continue_numbering_after(tx, last.max(before.last_import).unwrap_or(0))?;
            for (row, report) in &ended {
                end(tx, row, report, now)?;
            }
            activity::log(tx, now, None, None, "state.restored", "")
        })?;
        let mut adopted = Adopted::default();
        for (import, _) in spooled {
            if self.is_unknown(&import)? {
                adopted.unknown.push(import);
            }
        }
        adopted.ended = ended.into_iter().map(|(row, _)| row.id).collect();
        Ok(adopted)
    }

    fn is_unknown(&self, import: &ImportId) -> state::Result<bool> {
        let row: Option<ImportRow> = self.state.read(|tx| imports::get(tx, import.as_str()))?;
        Ok(row.is_none())
    }

    /// Returns the final report of an import, if results/ has it.
    fn answer_of(&self, row: &ImportRow) -> Option<Report> {
        let report = self.answer_called(&row.account, &row.stem)?;
        let is_final = matches!(report.state, ImportState::Completed | ImportState::Failed);
        (is_final && report.import.as_ref() == Some(&row.id)).then_some(report)
    }

    /// Reads the report of this stem in results/.
    fn answer_called(&self, account: &AccountId, stem: &str) -> Option<Report> {
        let [.., name] = answer_names(stem);
        let file = Results::open(&self.layout, account).and_then(|r| r.read(&name)).ok()?;
        let mut json = Vec::new();
        file.take(MAX_REPORT).read_to_end(&mut json).ok()?;
        serde_json::from_slice(&json)
            .inspect_err(|error| {
                tracing::warn!(%account, "the report {name:?} in results/ can't be read: {}",
                    chain(error));
            })
            .ok()
    }
}

/// Ends an import with its report. No milestone is enqueued: the run that ended did that.
fn end(
    tx: &state::Transaction<'_>,
    row: &ImportRow,
    report: &Report,
    now: Timestamp,
) -> state::Result<()> {
    if row.state == ImportState::Claiming {
        imports::set_queued(tx, &row.id, None)?;
    }
    imports::set_running(tx, &row.id, report.started_at.unwrap_or(now))?;
    imports::set_finished(tx, &row.id, report, report.finished_at.unwrap_or(now))?;
    let detail = "it ended after the backup, according to its answer in results/";
    activity::log(tx, now, Some(&row.account), Some(&row.id), "import.adopted", detail)
}
