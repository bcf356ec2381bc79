//! The sweep removes all data whose retention has ended. This file removes spooled files.
//!
//! A completed import removes its own files at its end, unless they are retained. The sweep removes
//! files that a crash or an error left. It removes files of imports that ended longer ago than
//! `retention.completed-uploads` or `failed-uploads`, and folders that belong to no import and are
//! older than `failed-uploads`. It has no input and can be interrupted at any point.

use std::time::Duration;

use jiff::Timestamp;

use super::retention::{self, SweepError};
use crate::config::{Period, Retention};
use crate::import::context::Context;
use crate::import::row::ImportRow;
use crate::import::upload_audit::UploadAudit;
use crate::import_id::ImportId;
use crate::report::ImportState;
use crate::sanitize::chain;
use crate::spool;
use crate::state::{self, Transaction, imports};

/// Removes and logs all data of the spool and the state database whose retention has ended at
/// `now`.
pub fn sweep(
    context: &Context,
    audit: Option<&UploadAudit>,
    now: Timestamp,
) -> Result<(), SweepError> {
    sweep_spool(context, now)?;
    if let Some(audit) = audit {
        audit.forget_missing_files(&context.layout, now);
    }
    retention::remove_old(context, now)
}

/// Removes spooled files that are no longer needed. Skips a folder that can't be removed.
fn sweep_spool(context: &Context, now: Timestamp) -> Result<(), SweepError> {
    for (import, changed) in spool::list(&context.layout)? {
        let owner = |tx: &Transaction<'_>| removable(tx, context, &import, changed, now);
        if context.state.read(owner)?.is_none() {
            continue;
        }
        // The import is checked again under the write lock, because `import retry` may have queued
        // it.
        let removed = context.state.write(|tx| {
            let owner = owner(tx)?;
            if owner.is_some() {
                spool::discard(&context.layout, &import)?;
            }
            Ok::<_, SweepError>(owner)
        });
        match removed {
            Ok(Some(Some(row))) => tracing::info!(account = %row.account, %import,
                "the spooled files of the {} import were removed", row.state.as_str()),
            Ok(Some(None)) => {
                tracing::warn!(%import, "spooled files that belong to no import were removed");
            }
            Ok(None) => {}
            Err(SweepError::Spool(error)) => {
                tracing::warn!(%import, "cannot remove the spooled files: {}", chain(&error));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Returns `Some` if the spooled files can be removed. The value is the import that the files
/// belong to, if such an import exists.
fn removable(
    tx: &Transaction<'_>,
    context: &Context,
    import: &ImportId,
    changed: Timestamp,
    now: Timestamp,
) -> state::Result<Option<Option<ImportRow>>> {
    let row: Option<ImportRow> = imports::get(tx, import.as_str())?;
    let ended = row.as_ref().map(|row| (row.state, row.finished_at));
    let retention = row.as_ref().map(|row| context.config.retention_of(&row.account));
    let retention = retention.unwrap_or(&context.config.retention);
    Ok(is_removable(ended, changed, now, retention).then_some(row))
}

/// Returns whether an import's spooled files can be removed: the import and the retention of its
/// files have ended.
///
/// Files that belong to no import are kept as long as those of failed imports, counted from
/// `changed`. They are uploads, and a state database restored from a backup may not have their
/// imports.
fn is_removable(
    import: Option<(ImportState, Option<Timestamp>)>,
    changed: Timestamp,
    now: Timestamp,
    retention: &Retention,
) -> bool {
    let over = |since: Timestamp, kept: Period| {
        kept.is_zero()
            || now.duration_since(since).try_into().is_ok_and(|d: Duration| d >= kept.get())
    };
    match import {
        None => over(changed, retention.failed_uploads),
        Some((ImportState::Completed, finished_at)) => {
            finished_at.is_some_and(|at| over(at, retention.completed_uploads))
        }
        Some((ImportState::Failed, finished_at)) => {
            finished_at.is_some_and(|at| over(at, retention.failed_uploads))
        }
        Some((ImportState::Claiming | ImportState::Queued | ImportState::Running, _)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spooled_files_are_kept_for_their_retention() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let kept = |completed_uploads, failed_uploads| Retention {
            completed_uploads: Period::seconds(completed_uploads),
            failed_uploads: Period::seconds(failed_uploads),
            ..Retention::default()
        };
        let removable = |import, now| is_removable(import, at(0), at(now), &kept(0, 100));
        for state in [ImportState::Claiming, ImportState::Queued, ImportState::Running] {
            assert!(!removable(Some((state, None)), 1000), "{state:?}");
        }
        assert!(removable(Some((ImportState::Completed, Some(at(0)))), 0));
        assert!(!removable(Some((ImportState::Failed, Some(at(50)))), 149));
        assert!(removable(Some((ImportState::Failed, Some(at(50)))), 150));
        assert!(!removable(Some((ImportState::Failed, Some(at(50)))), 0), "the clock was set back");
        assert!(!removable(None, 99));
        assert!(removable(None, 100));
        let completed = Some((ImportState::Completed, Some(at(50))));
        assert!(!is_removable(completed, at(0), at(59), &kept(10, 0)));
        assert!(is_removable(completed, at(0), at(60), &kept(10, 0)));
    }
}
