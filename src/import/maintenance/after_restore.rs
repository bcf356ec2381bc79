//! Reconciles a restored state database with the store, the spool and results/.
//!
//! After a restore, the store, the spool and results/ are newer than the database. A running number
//! that the store knows must not be assigned again, because the store would confuse the two
//! imports. An import that ended after the backup has its answer in results/, and is not run again.

use jiff::Timestamp;

use crate::import::context::Context;
use crate::import::row::{self, ImportRow};
use crate::import::run::answer::{own_answer_names, read_report};
use crate::import_id::ImportId;
use crate::report::{ImportState, Report};
use crate::spool::{self, Layout, Results, SpooledError};
use crate::state::imports::{self, unfinished};
use crate::state::{self, PreviousDatabase, activity};
use crate::store;

/// The reason why a restored state database can't be reconciled.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Spool(#[from] SpooledError),
    #[error(transparent)]
    State(#[from] state::Error),
}

/// The imports that ended or began between the backup and the restore.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconciliation {
    /// Imports that ended, according to their answers in results/.
    pub ended: Vec<ImportId>,
    /// Imports with files in the spool that the state database doesn't know.
    pub unknown: Vec<ImportId>,
}

/// Returns the imports that are unfinished in the database but have a final answer in results/. A
/// failed import may still have its files in the spool. It is not run again.
fn ended_since_backup(context: &Context) -> state::Result<Vec<(ImportRow, Report)>> {
    let waiting = context.state.read(|tx| {
        let rows: Vec<ImportRow> = imports::unfinished(tx)?;
        rows.into_iter()
            .map(|row| Ok((unfinished::retried_at(tx, &row.id)?, row)))
            .collect::<state::Result<Vec<_>>>()
    })?;
    let ended = waiting.into_iter().filter_map(|(retried, row)| {
        let report = answer_of(&context.layout, &row)?;
        // A report from before the command `import retry` is not an answer to the present run.
        let is_its_end = retried.is_none_or(|at| report.finished_at.is_some_and(|end| end > at));
        is_its_end.then_some((row, report))
    });
    Ok(ended.collect())
}

/// Applies the events since the backup to the restored state database, and the facts that `before`
/// has from the replaced database. The function can be repeated after an error.
pub fn reconcile(
    context: &Context,
    before: &PreviousDatabase,
    now: Timestamp,
) -> Result<Reconciliation, ReconcileError> {
    let spooled = spool::list(&context.layout)?;
    let node = &context.config.node.name;
    let stored = context.store.imports()?;
    let known = stored.iter().chain(spooled.iter().map(|(import, _)| import));
    let last = known.filter_map(|import| import.number_at(node)).max();
    let ended = ended_since_backup(context)?;
    context.state.write(|tx| {
        state::continue_numbering_after(tx, last.max(before.last_import).unwrap_or(0))?;
        for (row, report) in &ended {
            end(tx, row, report, now)?;
        }
        activity::log(tx, now, None, None, "state.restored", "")
    })?;
    let mut changes = Reconciliation::default();
    for (import, _) in spooled {
        if row::find(&context.state, &import)?.is_none() {
            changes.unknown.push(import);
        }
    }
    changes.ended = ended.into_iter().map(|(row, _)| row.id).collect();
    Ok(changes)
}

/// Reads the final report of an import from results/. Returns `None` if results/ has no such
/// report.
fn answer_of(layout: &Layout, row: &ImportRow) -> Option<Report> {
    let results = Results::open(layout, &row.account).ok()?;
    let [.., name] = own_answer_names(&results, &row.id, &row.stem)?;
    let report = read_report(&results, &name)?;
    let is_final = matches!(report.state, ImportState::Completed | ImportState::Failed);
    (is_final && report.import.as_ref() == Some(&row.id)).then_some(report)
}

/// Ends an import with its report. No milestone is enqueued, because the run that ended the import
/// has enqueued it.
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
    let detail = "the import ended after the backup, according to its report in results/";
    activity::log(tx, now, Some(&row.account), Some(&row.id), "import.adopted", detail)
}
