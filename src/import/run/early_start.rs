//! Early start: an import begins in the transaction that ends its claim, which saves a second
//! synced transaction.
//!
//! Invariant: an import that began early is either adopted by its next run, which does not begin
//! it again, or requeued when the process stops. A crash in between counts as a crash in its run.

use std::collections::HashSet;
use std::sync::{MutexGuard, PoisonError};

use jiff::Timestamp;

use super::decide;
use super::decide::Start;
use super::milestone_log;
use super::queue::Weight;
use super::running;
use super::transitions;
use super::transitions::FinishError;
use crate::account::AccountId;
use crate::import::{Engine, ImportRow};
use crate::import_id::ImportId;
use crate::report::{Failure, ImportState};
use crate::spool::{Claim, PlannedClaim};
use crate::state::{self, activity, imports};

/// The files of a completed claim.
pub enum Claimed {
    /// All files are in the spool.
    Whole,
    /// A file in the spool can't be imported, for this reason.
    Stranded(Failure),
}

impl Engine {
    /// Whether a new import of `take` may begin with its claim. Only a light one may, as it soon
    /// gets a slot.
    pub fn may_begin_with(&self, take: &PlannedClaim) -> bool {
        // A crash before its run counts as a start, which must not have been its last one.
        let starts = decide::on_start(None, 1, self.config.imports.max_starts);
        starts == Start::Run
            && take.data.as_ref().is_ok_and(|data| Weight::of(data.size) == Weight::Light)
    }

    /// Ends a claim whose files are in the spool: queues the import or, if it `begins`, starts it.
    /// Returns whether it has begun.
    pub fn claimed(
        &self,
        account: &AccountId,
        import: &ImportId,
        claim: &Claim,
        claimed: &Claimed,
        begins: bool,
    ) -> Result<bool, FinishError> {
        let now = state::now();
        let stranded = match claimed {
            Claimed::Whole => None,
            Claimed::Stranded(failure) => Some(failure),
        };
        // Inserted before the row is visible: a survey may queue it immediately.
        let may_begin = begins && stranded.is_none();
        if may_begin {
            self.begun().insert(import.clone());
        }
        let begun = self.state.write(|tx| {
            imports::set_queued(tx, import, stranded)?;
            let (at, name) = (Timestamp::now(), &claim.manifest.name);
            activity::log(tx, at, Some(account), Some(import), "import.claimed", name)?;
            let row: Option<ImportRow> = match may_begin {
                true => imports::get(tx, import.as_str())?,
                false => None,
            };
            let Some(row) = row else { return Ok(None) };
            transitions::begin(tx, &row, now, Some(&running(&row, now)))?;
            Ok::<_, FinishError>(Some(row))
        });
        if !matches!(begun, Ok(Some(_))) {
            self.begun().remove(import);
        }
        let Some(row) = begun? else { return Ok(false) };
        picked_up(&row, now);
        Ok(true)
    }

    /// Returns whether `import` began with its claim and has not run yet. Removes the entry.
    pub fn take_over(&self, import: &ImportId) -> bool {
        self.begun().remove(import)
    }

    /// Whether an import began with its claim and does not run yet.
    pub fn has_begun(&self) -> bool {
        !self.begun().is_empty()
    }

    /// Requeues imports that began with their claim and won't run soon, because the process stops
    /// or the queue is held. After an error it still requeues the others, and returns the error.
    pub fn put_back_begun(&self) -> state::Result<()> {
        let mut done = Ok(());
        let begun = self.begun().clone();
        for import in begun {
            // An import that is about to begin is left to the next call.
            let row: Option<ImportRow> = self.state.read(|tx| imports::get(tx, import.as_str()))?;
            let runs = row.is_some_and(|row| row.state == ImportState::Running);
            if !runs || !self.take_over(&import) {
                continue;
            }
            done = done.and(self.state.write(|tx| imports::set_stopped(tx, &import)));
        }
        done
    }

    fn begun(&self) -> MutexGuard<'_, HashSet<ImportId>> {
        // Every change is one insertion or removal.
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts and logs that an import was picked up at `now`. Call it once that is durable.
pub fn picked_up(row: &ImportRow, now: Timestamp) {
    crate::metrics::count_pickup(now.duration_since(row.received_at).unsigned_abs());
    milestone_log::picked_up(row);
}
