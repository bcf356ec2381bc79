//! Checks of the store. A stored import is never reported as failed, and its id is never used
//! again.
//!
//! The store commits an import before its answer is written. A crash, a bug or a full disk between
//! the two steps can prevent the answer. Therefore the store is queried before an import is
//! reported as failed. If the store has the import, the answer is completed, regardless of the
//! outcome of the last run.

use super::decide::{self, StartDecision};
use super::pipeline::ImportOutcome;
use crate::account::AccountId;
use crate::import::context::Context;
use crate::import::row::ImportRow;
use crate::import_id::ImportId;
use crate::report::{Counts, ImportState};
use crate::sanitize::chain;
use crate::spool::Claim;
use crate::state::imports::{self, NewImport};
use crate::state::{self, Transaction};
use crate::store::{self, CommitCounts, Store};

/// Decides how to handle an import that is about to run. An import that was interrupted too often
/// is set aside. If the store has it, it runs again instead, because only its answer is missing.
pub(super) fn decide_start(
    context: &Context,
    row: &ImportRow,
) -> Result<StartDecision, store::Error> {
    let max_starts = context.config.imports.max_starts;
    let start = decide::on_start(row.refusal.as_ref(), row.starts, max_starts);
    let once_more = matches!(start, StartDecision::SetAside(_))
        && decide::may_run_for_answer(row.starts, max_starts)
        && context.store.commit_counts(&row.account, &row.id)?.is_some();
    Ok(if once_more { StartDecision::Run } else { start })
}

/// Writes the row of a new import, with an id that was never used before.
pub fn insert(
    tx: &Transaction<'_>,
    context: &Context,
    new: &NewImport<'_, Claim>,
) -> state::Result<(i64, ImportId)> {
    loop {
        let (n, import) = imports::insert(tx, &context.config.node.name, new)?;
        if !is_used(context, new.account, &import) {
            return Ok((n, import));
        }
        imports::undo_insert(tx, &import)?;
    }
}

/// Returns whether the spool or the store has an import with this id that the state database does
/// not have. Logs such an import. A state database restored from a backup assigns numbers again,
/// and the store would confuse the new import with the old one.
fn is_used(context: &Context, account: &AccountId, import: &ImportId) -> bool {
    let spooled = context.layout.spooled(import).symlink_metadata().is_ok();
    let stored = || match context.store.commit_counts(account, import) {
        Ok(committed) => committed.is_some(),
        // If the store is unreadable, imports that need the store fail. A new import must not wait
        // for the store.
        Err(error) => {
            tracing::warn!(%account, %import, "cannot query the store: {}", chain(&error));
            false
        }
    };
    let used = spooled || stored();
    if used {
        tracing::warn!(%account, %import, "the id is skipped: the spool or the store has it from \
            an import that the state database doesn't know");
    }
    used
}

/// Returns `outcome`. If `outcome` is failed but the store has the import, returns a completed
/// outcome.
///
/// # Errors
/// Returns an error if the store can't be queried. The import must then not be reported as failed.
pub fn prefer_committed(
    store: &Store,
    account: &AccountId,
    import: &ImportId,
    outcome: ImportOutcome,
) -> Result<ImportOutcome, store::Error> {
    if outcome.state != ImportState::Failed {
        return Ok(outcome);
    }
    Ok(match store.commit_counts(account, import)? {
        Some(committed) if committed.records > 0 => {
            tracing::warn!(%account, %import,
                "the import's records are stored, but its answer is incomplete");
            committed_outcome(outcome, committed)
        }
        _ => outcome,
    })
}

/// Makes the outcome of a stored import whose last run failed.
fn committed_outcome(outcome: ImportOutcome, committed: CommitCounts) -> ImportOutcome {
    let Counts { rejected, .. } = outcome.counts;
    let mut warnings = outcome.warnings;
    let why = outcome.failure.map_or_else(String::new, |f| format!(" ({})", f.detail));
    warnings.push(format!(
        "the records are stored, but the import was cut off before its answer was written{why}: \
         rejected records may be missing from this report and from the error file"
    ));
    let accepted = committed.records;
    ImportOutcome {
        state: ImportState::Completed,
        counts: Counts { read: accepted + rejected, accepted, rejected },
        ts_range: committed.ts_range,
        failure: None,
        warnings,
        ..outcome
    }
}
