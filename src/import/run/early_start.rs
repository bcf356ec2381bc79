//! Imports that begin in the transaction that ends their claim, which spares them a second one.
//!
//! Always holds: what has begun so is taken over by the next run of it, which does not begin it
//! again, or goes back to the queue when the process stops. A crash in between is one in its run.

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
use crate::spool::{Claim, Take};
use crate::state::{self, activity, imports};

/// What a claim came to.
pub enum Claimed {
    /// All its files are in the spool.
    Whole,
    /// A file that can't be imported is, and why.
    Stranded(Failure),
}

impl Engine {
    /// Whether a new import of `take` may begin with its claim: one that is light, so that a place
    /// for it is soon found, and new, so that there is nothing else to be asked.
    pub fn may_begin_with(&self, take: &Take) -> bool {
        // Should the host crash before it runs, that must not have been its last start.
        let starts = decide::on_start(None, 1, self.config.imports.max_starts);
        starts == Start::Run
            && take.data.as_ref().is_ok_and(|data| Weight::of(data.size) == Weight::Light)
    }

    /// Its files are in the spool: the import is queued, or `begins`. Returns whether it has begun.
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
        // Before it can be seen by anybody: a survey may have it run at once.
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

    /// Whether `import` has begun with its claim, and this run is the first of it.
    pub fn take_over(&self, import: &ImportId) -> bool {
        self.begun().remove(import)
    }

    /// Whether something has begun with its claim and does not run yet.
    pub fn has_begun(&self) -> bool {
        !self.begun().is_empty()
    }

    /// What has begun with its claim and won't be run soon, as the process stops or the queue is
    /// held, is queued.
    ///
    /// # Errors
    /// The state database's, the last one; it is done for all.
    pub fn put_back_begun(&self) -> state::Result<()> {
        let mut done = Ok(());
        let begun = self.begun().clone();
        for import in begun {
            // One that is about to begin is left to the next call, if it does.
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
        // Every change is one insertion or removal, or all of it.
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that an import was picked up at `now`, once that is durable.
pub fn picked_up(row: &ImportRow, now: Timestamp) {
    crate::metrics::picked_up(now.duration_since(row.received_at).unsigned_abs());
    milestone_log::picked_up(row);
}
