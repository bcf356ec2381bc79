//! What is stored is never called failed.
//!
//! The store takes an import before its answer is written, and much can go wrong between the two:
//! crashes, a bug of ours, a disk that stays full. Before an import is failed the store is asked,
//! and what it has is answered as completed, whatever the last run came to.

use super::pipeline::Outcome;
use super::{Engine, state as decide};
use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::report::{Counts, ImportState};
use crate::store::{self, Committed};

impl Engine {
    /// Whether an import that was cut off `starts` times runs once more instead of being set
    /// aside: it is stored, and only the answer is missing.
    ///
    /// # Errors
    /// The store can't be asked.
    pub(super) fn runs_for_its_answer(
        &self,
        account: &AccountId,
        import: &ImportId,
        starts: u32,
    ) -> Result<bool, store::Error> {
        let once_more = decide::may_run_for_its_answer(starts, self.config.imports.max_starts);
        Ok(once_more && self.store.committed(account, import)?.is_some())
    }

    /// `outcome`, or what the store says of an import that it has and that would be failed.
    ///
    /// # Errors
    /// The store can't be asked: then nobody may say that the import failed.
    pub(super) fn not_denied(
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
