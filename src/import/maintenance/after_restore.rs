//! After a state database was put back: brings it and what has happened since to one story.
//!
//! The store, the spool and results/ are newer than the database then. A running number that the
//! store knows must not be given again (it would take the new import for one that it has), and an
//! import that ended since has its answer in results/ already: it is not run again.

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
use crate::state::{Before, activity, imports};
use crate::store;

/// The most that is read of a report.
const MAX_REPORT: u64 = 16 << 20;

/// Why what has happened since can't be found out.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// The store can't say which imports it has.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The spool can't be listed.
    #[error(transparent)]
    Spool(#[from] SpooledError),
    /// The state database's.
    #[error(transparent)]
    State(#[from] state::Error),
}

/// What had happened since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Imports that ended, by their answers in results/.
    pub ended: Vec<ImportId>,
    /// Imports whose files lie in the spool, and which the state database doesn't know.
    pub unknown: Vec<ImportId>,
}

impl Engine {
    /// The imports that had not ended when the copy was made, and have by their answers. One that
    /// failed has its files in the spool still, and is not run again by this.
    fn ended_since(&self) -> state::Result<Vec<(ImportRow, Report)>> {
        let waiting = self.state.read(|tx| {
            let rows: Vec<ImportRow> = imports::unfinished(tx)?;
            rows.into_iter()
                .map(|row| Ok((unfinished::retried_at(tx, &row.id)?, row)))
                .collect::<state::Result<Vec<_>>>()
        })?;
        let ended = waiting.into_iter().filter_map(|(retried, row)| {
            let report = self.answer_of(&row)?;
            // A report from before `import retry` is not this run's end.
            let is_its_end =
                retried.is_none_or(|at| report.finished_at.is_some_and(|end| end > at));
            is_its_end.then_some((row, report))
        });
        Ok(ended.collect())
    }

    /// Takes up what has happened since the state database was copied, and what the one before it
    /// knew.
    ///
    /// # Errors
    /// The store or the spool can't be read, or the state database's; done again, it goes on.
    pub fn adopt(&self, before: &Before, now: Timestamp) -> Result<Adopted, AdoptError> {
        let spooled = spool::list(&self.layout)?;
        let node = &self.config.node.name;
        let stored = self.store.imports()?;
        let known = stored.iter().chain(spooled.iter().map(|(import, _)| import));
        let last = known.filter_map(|import| import.number_at(node)).max();
        let ended = self.ended_since()?;
        self.state.write(|tx| {
            imports::continue_after(tx, last.max(before.last_import).unwrap_or(0))?;
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

    /// The final report on an import, when results/ has it.
    fn answer_of(&self, row: &ImportRow) -> Option<Report> {
        let report = self.answer_called(&row.account, &row.stem)?;
        let is_final = matches!(report.state, ImportState::Completed | ImportState::Failed);
        (is_final && report.import.as_ref() == Some(&row.id)).then_some(report)
    }

    /// The report in results/ under this stem.
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

/// Ends an import as its report says. Who was to be told was told then.
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
    let detail = "it had ended since the state database was copied, by its answer in results/";
    activity::log(tx, now, Some(&row.account), Some(&row.id), "import.adopted", detail)
}
