//! Removes old rows in batches, the oldest rows first.
//!
//! Invariant: rows that are still needed are never removed. Needed rows are imports that have not
//! ended and milestones with a pending delivery.

use jiff::Timestamp;
use rusqlite::params;

use super::db::transaction::parsed;
use super::{Result, Transaction, millis};
use crate::import_id::ImportId;

/// An import whose files in results/ are old enough to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldAnswer {
    pub id: ImportId,
    /// The common beginning of the names of the import's files in results/.
    pub stem: String,
}

/// The SQL condition that the import `i` has no pending delivery. A pending delivery may need the
/// error file.
const NOTHING_PENDING: &str = "NOT EXISTS (
    SELECT 1 FROM milestone m JOIN delivery d ON d.milestone = m.id
    WHERE m.import = i.id AND d.state = 'pending')";

/// Returns every account that has rows in the state database, including removed accounts. Returns
/// `None` for rows without an account.
pub fn owners(tx: &Transaction<'_>) -> Result<Vec<Option<String>>> {
    tx.select(
        "SELECT id FROM account UNION SELECT DISTINCT account FROM import
         UNION SELECT DISTINCT account FROM milestone UNION SELECT DISTINCT account FROM activity",
        [],
        |row| Ok(row.get(0)?),
    )
}

/// Returns at most `limit` imports that ended before `before` and whose files in results/ still
/// exist.
pub fn list_old_answers(
    tx: &Transaction<'_>,
    account: &str,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<OldAnswer>> {
    let sql = format!(
        "SELECT i.id, i.stem FROM import i
         WHERE i.account = ?1 AND i.finished_at < ?2 AND i.answer_removed_at IS NULL
           AND {NOTHING_PENDING}
         ORDER BY i.finished_at LIMIT ?3"
    );
    tx.select(&sql, params![account, millis(before), limit], |row| {
        Ok(OldAnswer { id: parsed(row, 0)?, stem: row.get(1)? })
    })
}

/// Records that the files of an import in results/ were removed.
pub fn set_answer_removed(tx: &Transaction<'_>, import: &ImportId, at: Timestamp) -> Result<()> {
    tx.change(
        "UPDATE import SET answer_removed_at = ?2 WHERE id = ?1 AND finished_at IS NOT NULL",
        params![import.as_str(), millis(at)],
    )?;
    Ok(())
}

/// Removes at most `limit` milestones from before `before`, with their deliveries and attempts.
/// Returns the number of removed milestones.
///
/// A milestone is kept if one of its deliveries is pending or ended after `before`. A milestone is
/// also kept as long as its import has not ended.
pub fn remove_milestones(
    tx: &Transaction<'_>,
    account: &str,
    before: Timestamp,
    limit: u32,
) -> Result<usize> {
    tx.change(
        "DELETE FROM milestone WHERE id IN (
             SELECT m.id FROM milestone m
             WHERE m.account = ?1 AND m.at < ?2
               AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.milestone = m.id
                               AND (d.state = 'pending' OR d.finished_at >= ?2))
               AND NOT EXISTS (SELECT 1 FROM import i
                               WHERE i.id = m.import AND i.finished_at IS NULL)
             ORDER BY m.at LIMIT ?3)",
        params![account, millis(before), limit],
    )
}

/// Removes at most `limit` imports that ended before `before` and whose files in results/ were
/// removed. Returns the number of removed imports. The manifest names of removed imports can't be
/// used again.
pub fn remove_imports(
    tx: &Transaction<'_>,
    account: &str,
    before: Timestamp,
    limit: u32,
) -> Result<usize> {
    let sql = format!(
        "DELETE FROM import WHERE n IN (
             SELECT i.n FROM import i
             WHERE i.account = ?1 AND i.finished_at < ?2 AND i.answer_removed_at IS NOT NULL
               AND {NOTHING_PENDING}
             ORDER BY i.finished_at LIMIT ?3)"
    );
    tx.change(&sql, params![account, millis(before), limit])
}

/// Removes at most `limit` lines that are older than `before` from the activity log. Returns the
/// number of removed lines.
pub fn remove_activity(
    tx: &Transaction<'_>,
    account: Option<&str>,
    before: Timestamp,
    limit: u32,
) -> Result<usize> {
    tx.change(
        "DELETE FROM activity WHERE id IN (
             SELECT id FROM activity WHERE account IS ?1 AND at < ?2 ORDER BY at LIMIT ?3)",
        params![account, millis(before), limit],
    )
}
