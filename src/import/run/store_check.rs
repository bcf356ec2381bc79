//! What is stored is never called failed, and never taken for another import.
//!
//! The store takes an import before its answer is written, and much can go wrong between the two:
//! crashes, a bug of ours, a disk that stays full. Before an import is failed the store is asked,
//! and what it has is answered as completed, whatever the last run came to.

use super::decide;
use super::decide::Start;
use super::pipeline::Outcome;
use crate::account::AccountId;
use crate::import::{Engine, ImportRow};
use crate::import_id::ImportId;
use crate::report::{Counts, ImportState};
use crate::sanitize::chain;
use crate::spool::Claim;
use crate::state::imports::{self, NewImport};
use crate::state::{self, Transaction};
use crate::store::{self, Committed};

impl Engine {
    /// What to do with an import that is about to run. One that was cut off too often runs once
    /// more instead of being set aside when it is stored, and only the answer is missing.
    ///
    /// # Errors
    /// The store can't be asked.
    pub fn start(&self, row: &ImportRow) -> Result<Start, store::Error> {
        let max_starts = self.config.imports.max_starts;
        let start = decide::on_start(row.refusal.as_ref(), row.starts, max_starts);
        let once_more = matches!(start, Start::SetAside(_))
            && decide::may_run_for_its_answer(row.starts, max_starts)
            && self.store.committed(&row.account, &row.id)?.is_some();
        Ok(if once_more { Start::Run } else { start })
    }

    /// Writes the row of a new import, with an id that nothing else has.
    pub fn insert(&self, new: &NewImport<'_, Claim>) -> state::Result<(i64, ImportId)> {
        self.state.write(|tx| self.insert_unused(tx, new))
    }

    /// As [`Self::insert`], as part of a transaction.
    pub fn insert_unused(
        &self,
        tx: &Transaction<'_>,
        new: &NewImport<'_, Claim>,
    ) -> state::Result<(i64, ImportId)> {
        loop {
            let (n, import) = imports::insert(tx, &self.config.node.name, new)?;
            if !self.is_used(new.account, &import) {
                return Ok((n, import));
            }
            imports::take_back(tx, &import)?;
        }
    }

    /// Whether an import that the state database doesn't know has this new id in the spool or the
    /// store, which is logged. A state database that was put back from a backup numbers again, and
    /// the store would take the new import for the old one.
    fn is_used(&self, account: &AccountId, import: &ImportId) -> bool {
        let spooled = self.layout.spooled(import).symlink_metadata().is_ok();
        let stored = || match self.store.committed(account, import) {
            Ok(committed) => committed.is_some(),
            // What can't be read now fails the imports that need it; others must not wait for it.
            Err(error) => {
                tracing::warn!(%account, "cannot look an import up: {}", chain(&error));
                false
            }
        };
        let used = spooled || stored();
        if used {
            tracing::warn!(%account, %import, "the id is left out: the spool or the store has it \
                from an import that the state database doesn't know");
        }
        used
    }

    /// `outcome`, or what the store says of an import that it has and that would be failed.
    ///
    /// # Errors
    /// The store can't be asked: then nobody may say that the import failed.
    pub fn not_denied(
        &self,
        account: &AccountId,
        import: &ImportId,
        outcome: Outcome,
    ) -> Result<Outcome, store::Error> {
        if outcome.state != ImportState::Failed {
            return Ok(outcome);
        }
        Ok(match self.store.committed(account, import)? {
            Some(committed) if committed.records > 0 => {
                tracing::warn!(%account, %import, "its records are stored, its answer isn't whole");
                stored(outcome, committed)
            }
            _ => outcome,
        })
    }
}

/// The outcome of an import that is stored and whose last run failed.
fn stored(outcome: Outcome, committed: Committed) -> Outcome {
    let Counts { rejected, .. } = outcome.counts;
    let mut warnings = outcome.warnings;
    let why = outcome.failure.map_or_else(String::new, |f| format!(" ({})", f.detail));
    warnings.push(format!(
        "the records are stored, but the import was cut off before its answer was written{why}: \
         rejected records may be missing from this report and from the error file"
    ));
    let accepted = committed.records;
    Outcome {
        state: ImportState::Completed,
        counts: Counts { read: accepted + rejected, accepted, rejected },
        failure: None,
        warnings,
        ..outcome
    }
}
