//! Imports of an earlier version, whose manifests may have kept their name in incoming, or their
//! text in the import's row. Filled by migration 8; the first start after it empties it.

use crate::import_id::{ImportId, InvalidImportId};
use crate::state::{Error, Result, Transaction};

/// Each of them, with the manifest's text where the row has it.
///
/// # Errors
/// SQLite's, or a row is not one of ours.
pub fn lingering(tx: &Transaction<'_>) -> Result<Vec<(ImportId, Option<String>)>> {
    let mut statement = tx.prepare(
        "SELECT import, manifest_text FROM lingering JOIN import ON import.id = lingering.import",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    rows.map(|row| {
        let (id, text) = row?;
        Ok((id.parse().map_err(|e: InvalidImportId| Error::Value(e.to_string()))?, text))
    })
    .collect()
}

/// All of them are finished.
pub fn forget_lingering(tx: &Transaction<'_>) -> Result<()> {
    tx.execute_batch(
        "UPDATE import SET manifest_text = NULL WHERE manifest_text IS NOT NULL;
         DELETE FROM lingering",
    )?;
    Ok(())
}
