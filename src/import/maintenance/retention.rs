//! Retention: removes old answers in results/, milestones with their deliveries, ended imports,
//! lines of the activity log, and refused keys.
//!
//! Rows are removed in batches of bounded size, with one transaction per batch, so that imports
//! never wait long for a transaction. After an interruption the next sweep continues. Files are
//! removed before the row that names them. Each removal is logged, with a summary in the activity
//! log.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::account::AccountId;
use crate::config::Retention;
use crate::import::context::Context;
use crate::import::run::answer::{self, own_answer_names};
use crate::sanitize::chain;
use crate::spool::{Layout, Results, ResultsError, SpooledError};
use crate::state::retention::{self as kept, OldAnswer};
use crate::state::{self, State, activity, refused};

/// The number of rows that one transaction removes.
const BATCH: u32 = 500;

/// The number of batches of one kind that a sweep removes per account. The next sweep continues.
const BATCHES: usize = 200;

/// The cutoff time for each kind of data. Data from before the cutoff is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cutoffs {
    answers: Timestamp,
    milestones: Timestamp,
    imports: Timestamp,
    activity: Timestamp,
    refused: Timestamp,
}

impl Cutoffs {
    /// Computes the cutoffs at `now`. An import is kept at least as long as all data that depends
    /// on its row. This function is pure.
    fn new(retention: &Retention, now: Timestamp) -> Self {
        let before = |kept: Duration| {
            let kept = SignedDuration::try_from(kept).unwrap_or(SignedDuration::MAX);
            now.checked_sub(kept).unwrap_or(Timestamp::MIN)
        };
        let Retention {
            completed_uploads,
            failed_uploads,
            results,
            deliveries,
            imports,
            activity,
            refused,
        } = retention;
        let dependent = [imports, results, deliveries, completed_uploads, failed_uploads];
        let longest = dependent.into_iter().map(|period| period.get()).max().unwrap_or_default();
        Self {
            answers: before(results.get()),
            milestones: before(deliveries.get()),
            imports: before(longest),
            activity: before(activity.get()),
            refused: before(refused.get()),
        }
    }
}

/// The amounts of data that a sweep removed from one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct RemovedRows {
    answers: usize,
    milestones: usize,
    imports: usize,
    activity: usize,
    refused: usize,
}

/// The reason why a sweep ended before it removed all expired data.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    #[error(transparent)]
    Spool(#[from] SpooledError),
    #[error(transparent)]
    State(#[from] state::Error),
}

/// Removes and logs all data whose retention has ended at `now`.
pub(super) fn remove_old(context: &Context, now: Timestamp) -> Result<(), SweepError> {
    for owner in context.state.read(kept::owners)? {
        let Some(owner) = owner else {
            let before = Cutoffs::new(&context.config.retention, now).activity;
            let lines =
                in_batches(&context.state, |tx| kept::remove_activity(tx, None, before, BATCH))?;
            if lines > 0 {
                tracing::info!(
                    lines,
                    "old lines of the activity log that belong to no account were removed"
                );
            }
            continue;
        };
        let Ok(account) = owner.parse::<AccountId>() else { continue };
        let removed = remove_of_account(context, &account, now)?;
        log(&context.state, &account, removed, now)?;
    }
    Ok(())
}

fn remove_of_account(
    context: &Context,
    account: &AccountId,
    now: Timestamp,
) -> state::Result<RemovedRows> {
    let cutoffs = Cutoffs::new(context.config.retention_of(account), now);
    let (state, id) = (&context.state, account.as_str());
    Ok(RemovedRows {
        answers: remove_answers(context, account, cutoffs.answers, now)?,
        milestones: in_batches(state, |tx| {
            kept::remove_milestones(tx, id, cutoffs.milestones, BATCH)
        })?,
        imports: in_batches(state, |tx| kept::remove_imports(tx, id, cutoffs.imports, BATCH))?,
        activity: in_batches(state, |tx| {
            kept::remove_activity(tx, Some(id), cutoffs.activity, BATCH)
        })?,
        refused: state.write(|tx| refused::remove_before(tx, account, cutoffs.refused))?,
    })
}

/// Repeats `batch` until a call removes less than a full batch.
fn in_batches(
    state: &State,
    batch: impl Fn(&state::Transaction<'_>) -> state::Result<usize>,
) -> state::Result<usize> {
    let mut all = 0;
    for _ in 0..BATCHES {
        let removed = state.write(&batch)?;
        all += removed;
        if removed < BATCH as usize {
            break;
        }
    }
    Ok(all)
}

/// Removes files of answers, then records the removal in the rows. Stops if a file can't be
/// removed. The next sweep tries again.
fn remove_answers(
    context: &Context,
    account: &AccountId,
    before: Timestamp,
    now: Timestamp,
) -> state::Result<usize> {
    let mut all = 0;
    for _ in 0..BATCHES {
        let id = account.as_str();
        let _lock = context.answer_locks.lock(account);
        let batch = context.state.read(|tx| kept::list_old_answers(tx, id, before, BATCH))?;
        let removed = match remove_files(&context.layout, account, &batch) {
            Ok(removed) => removed,
            Err(error) => {
                tracing::warn!(%account, "cannot remove old answers from results/: {}", chain(&error));
                break;
            }
        };
        context.state.write(|tx| {
            batch.iter().try_for_each(|gone| kept::set_answer_removed(tx, &gone.id, now))
        })?;
        all += removed;
        if batch.len() < BATCH as usize {
            break;
        }
    }
    Ok(all)
}

/// Removes the answers of `batch`. Returns the number of imports that had an answer.
fn remove_files(
    layout: &Layout,
    account: &AccountId,
    batch: &[OldAnswer],
) -> Result<usize, ResultsError> {
    if batch.is_empty() {
        return Ok(0);
    }
    let results = match Results::open(layout, account) {
        // The account was removed, so it has no results folder.
        Err(error) if answer::is_missing(&error) => return Ok(0),
        results => results?,
    };
    let mut removed = 0;
    for OldAnswer { id, stem } in batch {
        // A restored state database may not know that the answer was renamed.
        let Some(names) = own_answer_names(&results, id, stem) else { continue };
        let files = results.remove_all(&names)?;
        if files > 0 {
            tracing::info!(%account, import = %id, files, "an old answer was removed from results/");
            removed += 1;
        }
    }
    Ok(removed)
}

fn log(
    state: &State,
    account: &AccountId,
    removed: RemovedRows,
    now: Timestamp,
) -> state::Result<()> {
    let RemovedRows { answers, milestones, imports, activity: lines, refused } = removed;
    if removed == RemovedRows::default() {
        return Ok(());
    }
    tracing::info!(%account, answers, milestones, imports, lines, refused,
        "expired data was removed: {answers} answers in results/, {milestones} milestones, \
         {imports} imports, {lines} lines of the activity log, {refused} refused keys");
    // If the sweep removed only log lines or refused keys, it adds no log line.
    if answers + milestones + imports == 0 {
        return Ok(());
    }
    let detail = format!(
        "{answers} answers in results/, {milestones} milestones with their deliveries, \
         {imports} imports"
    );
    state.write(|tx| activity::log(tx, now, Some(account), None, "retention.removed", &detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Period;

    #[test]
    fn imports_are_kept_as_long_as_their_dependents() {
        let days = |n: u64| Period::seconds(n * 86_400);
        let now: Timestamp = "2026-12-31T00:00:00Z".parse().unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let short = Retention { imports: days(1), ..Retention::default() };
        let cutoffs = Cutoffs::new(&short, now);
        assert_eq!(cutoffs.imports, at("2026-10-02T00:00:00Z"));
        assert_eq!((cutoffs.answers, cutoffs.milestones), (cutoffs.imports, cutoffs.imports));
        let long = Retention { failed_uploads: days(400), ..short };
        assert_eq!(Cutoffs::new(&long, now).imports, at("2025-11-26T00:00:00Z"));
        let for_ever = Retention { activity: Period::seconds(u64::MAX), ..Retention::default() };
        assert_eq!(Cutoffs::new(&for_ever, now).activity, Timestamp::MIN);
    }
}
