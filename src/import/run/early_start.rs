//! Early start: an import begins in the transaction that ends its claim, which saves a second
//! synced transaction.
//!
//! Invariant: an import that began early is either adopted by its next run, which does not begin it
//! again, or requeued when the process stops. A crash before that run counts as a crash in the run.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::answer::earlier_answer::{self, EarlierAnswer};
use super::decide::{self, StartDecision};
use super::milestone_log;
use super::queue::Weight;
use super::transitions;
use crate::account::AccountId;
use crate::config::Config;
use crate::import::row::{self, ImportRow};
use crate::import_id::ImportId;
use crate::outbox;
use crate::report::{Failure, ImportState};
use crate::spool::PlannedClaim;
use crate::state::{self, State, activity, imports};

/// The imports that began with their claim but do not run yet. This list is lost at a restart.
#[derive(Debug, Default)]
pub struct EarlyStarts(Mutex<HashSet<ImportId>>);

impl EarlyStarts {
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Returns whether `import` began with its claim but has not run yet. Removes the import from
    /// the list.
    pub(super) fn adopt(&self, import: &ImportId) -> bool {
        self.lock().remove(import)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<ImportId>> {
        // A panic leaves no incomplete change, because every change is one insertion or removal.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a claim, when its files are in the spool.
pub struct ClaimEnd<'a> {
    pub account: &'a AccountId,
    pub import: &'a ImportId,
    /// The file name of the manifest.
    pub manifest: &'a str,
    /// Whether the import begins to run with this claim.
    pub begins: bool,
    /// The reason why a file in the spool can't be imported. `None` if both files can be imported.
    pub unusable: Option<Failure>,
    /// The earlier answers that this claim has renamed.
    pub renamed: Vec<EarlierAnswer>,
}

/// Returns whether a new import of `take` may begin with its claim. Only a light import may,
/// because a light import soon gets a slot.
pub fn is_allowed(config: &Config, take: &PlannedClaim) -> bool {
    // A crash before the run counts as a start. This start must not be the last allowed start.
    decide::on_start(None, 1, config.imports.max_starts) == StartDecision::Run
        && take.data.as_ref().is_ok_and(|data| Weight::of(data.size) == Weight::Light)
}

/// Ends a claim: queues the import, or starts it if it `begins`. Returns whether the import has
/// begun.
pub fn end_claim(
    state: &State,
    early_starts: &EarlyStarts,
    end: ClaimEnd<'_>,
) -> Result<bool, outbox::Error> {
    let ClaimEnd { account, import, manifest, begins, unusable, renamed } = end;
    let now = state::now();
    let may_begin = begins && unusable.is_none();
    // The entry is inserted before the row is visible, because a survey may queue the import
    // immediately.
    if may_begin {
        early_starts.lock().insert(import.clone());
    }
    let begun = state.write(|tx| {
        imports::set_queued(tx, import, unusable.as_ref())?;
        earlier_answer::record(tx, &renamed)?;
        let at = Timestamp::now();
        activity::log(tx, at, Some(account), Some(import), "import.claimed", manifest)?;
        let row: Option<ImportRow> = match may_begin {
            true => imports::get(tx, import.as_str())?,
            false => None,
        };
        let Some(row) = row else { return Ok(None) };
        transitions::begin(tx, &row, now, Some(&row::running_report(&row, now)))?;
        Ok::<_, outbox::Error>(Some(row))
    });
    if !matches!(begun, Ok(Some(_))) {
        early_starts.adopt(import);
    }
    let Some(row) = begun? else { return Ok(false) };
    milestone_log::log_picked_up(&row, now);
    Ok(true)
}

/// Requeues imports that began with their claim but will not run soon, because the process stops or
/// the queue is held. After an error the remaining imports are still requeued, and the error is
/// returned.
pub fn requeue(state: &State, early_starts: &EarlyStarts) -> state::Result<()> {
    let mut done = Ok(());
    let begun = early_starts.lock().clone();
    for import in begun {
        // If the row does not show a running import yet, the next call requeues the import.
        let row = row::find(state, &import)?;
        let runs = row.is_some_and(|row| row.state == ImportState::Running);
        if !runs || !early_starts.adopt(&import) {
            continue;
        }
        done = done.and(state.write(|tx| imports::set_stopped(tx, &import)));
    }
    done
}
