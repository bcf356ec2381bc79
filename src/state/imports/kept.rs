//! A manifest's text in its import's row, from the claim until its copy lies in the spool.

use rusqlite::OptionalExtension;

use super::moved;
use crate::import_id::ImportId;
use crate::state::{Result, Transaction};

/// Keeps `text`, the manifest of an import that has not ended.
///
/// # Errors
/// SQLite's, or there is no such import.
pub fn keep_manifest(tx: &Transaction<'_>, id: &ImportId, text: &str) -> Result<()> {
    let rows = tx
        .prepare_cached(
            "UPDATE import SET manifest_text = ?2 WHERE id = ?1 AND finished_at IS NULL",
        )?
        .execute([id.as_str(), text])?;
    moved(rows, id, "before its end")
}

/// The manifest that is kept for an import, if one is.
///
/// # Errors
/// SQLite's.
pub fn kept_manifest(tx: &Transaction<'_>, id: &ImportId) -> Result<Option<String>> {
    let text = tx
        .prepare_cached("SELECT manifest_text FROM import WHERE id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    Ok(text.flatten())
}

/// The manifest's copy is in the spool, durably.
///
/// # Errors
/// SQLite's.
pub fn forget_manifest(tx: &Transaction<'_>, id: &ImportId) -> Result<()> {
    tx.prepare_cached(
        "UPDATE import SET manifest_text = NULL WHERE id = ?1 AND manifest_text IS NOT NULL",
    )?
    .execute([id.as_str()])?;
    Ok(())
}
