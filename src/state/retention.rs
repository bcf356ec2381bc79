//! What is old enough to go, a batch at a time, the oldest first. Nothing that is still needed is
//! ever among it: imports that have not ended, milestones with a delivery that is to be made.

use jiff::Timestamp;
use rusqlite::params;

use super::{Error, Result, millis};
use crate::import_id::{ImportId, InvalidImportId};
use crate::state::Transaction;

/// An import whose answer in results/ is old enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The import.
    pub id: ImportId,
    /// What its answers in results/ are named after.
    pub stem: String,
}

/// No delivery of import `i` is still to be made: it may carry the error file.
const NOTHING_PENDING: &str = "NOT EXISTS (
    SELECT 1 FROM milestone m JOIN delivery d ON d.milestone = m.id
    WHERE m.import = i.id AND d.state = 'pending')";

/// Whose things there are: accounts, also removed ones, and nobody's.
pub fn owners(tx: &Transaction<'_>) -> Result<Vec<Option<String>>> {
    let mut statement = tx.prepare_cached(
        "SELECT id FROM account UNION SELECT DISTINCT account FROM import
         UNION SELECT DISTINCT account FROM milestone UNION SELECT DISTINCT account FROM activity",
    )?;
    let owners = statement.query_map([], |row| row.get(0))?;
    Ok(owners.collect::<rusqlite::Result<_>>()?)
}

/// Imports that ended before `before` and whose answers are not removed yet, at most `limit`.
///
/// # Errors
/// SQLite's, or a row is not one of ours.
pub fn answered(
    tx: &Transaction<'_>,
    account: &str,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<Answered>> {
    let mut statement = tx.prepare_cached(&format!(
        "SELECT i.id, i.stem FROM import i
         WHERE i.account = ?1 AND i.finished_at < ?2 AND i.answer_removed_at IS NULL
           AND {NOTHING_PENDING}
         ORDER BY i.finished_at LIMIT ?3"
    ))?;
    let rows = statement.query_map(params![account, millis(before), limit], |row| {
        Ok((row.get::<_, String>(0)?, row.get(1)?))
    })?;
    rows.map(|row| {
        let (id, stem) = row?;
        let id = id.parse().map_err(|e: InvalidImportId| Error::Value(e.to_string()))?;
        Ok(Answered { id, stem })
    })
    .collect()
}

/// Notes that an import's answer is not in results/ any more.
pub fn set_answer_removed(tx: &Transaction<'_>, import: &ImportId, at: Timestamp) -> Result<()> {
    tx.prepare_cached(
        "UPDATE import SET answer_removed_at = ?2 WHERE id = ?1 AND finished_at IS NOT NULL",
    )?
    .execute(params![import.as_str(), millis(at)])?;
    Ok(())
}

/// Removes milestones from before `before` with their deliveries and attempts, at most `limit`,
/// unless one of their deliveries is to be made or ended later, or their import has not ended.
/// Returns how many.
pub fn remove_milestones(
    tx: &Transaction<'_>,
    account: &str,
    before: Timestamp,
    limit: u32,
) -> Result<usize> {
    Ok(tx
        .prepare_cached(
            "DELETE FROM milestone WHERE id IN (
                 SELECT m.id FROM milestone m
                 WHERE m.account = ?1 AND m.at < ?2
                   AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.milestone = m.id
                                   AND (d.state = 'pending' OR d.finished_at >= ?2))
                   AND NOT EXISTS (SELECT 1 FROM import i
                                   WHERE i.id = m.import AND i.finished_at IS NULL)
                 ORDER BY m.at LIMIT ?3)",
        )?
        .execute(params![account, millis(before), limit])?)
}

/// Removes imports that ended before `before` and whose answers are gone, at most `limit`. The
/// names of their manifests stay spent. Returns how many.
pub fn remove_imports(
    tx: &Transaction<'_>,
    account: &str,
    before: Timestamp,
    limit: u32,
) -> Result<usize> {
    Ok(tx
        .prepare_cached(&format!(
            "DELETE FROM import WHERE n IN (
                 SELECT i.n FROM import i
                 WHERE i.account = ?1 AND i.finished_at < ?2 AND i.answer_removed_at IS NOT NULL
                   AND {NOTHING_PENDING}
                 ORDER BY i.finished_at LIMIT ?3)"
        ))?
        .execute(params![account, millis(before), limit])?)
}

/// Removes lines of the activity log from before `before`, at most `limit`. Returns how many.
pub fn remove_activity(
    tx: &Transaction<'_>,
    account: Option<&str>,
    before: Timestamp,
    limit: u32,
) -> Result<usize> {
    Ok(tx
        .prepare_cached(
            "DELETE FROM activity WHERE id IN (
                 SELECT id FROM activity WHERE account IS ?1 AND at < ?2 ORDER BY at LIMIT ?3)",
        )?
        .execute(params![account, millis(before), limit])?)
}
