//! The table `lingering`: imports of an earlier version whose manifest may still have its name in
//! incoming, or its text in the import's row. Migration 8 fills it; the first start after that
//! empties it.

use crate::import_id::{ImportId, InvalidImportId};
use crate::state::{Error, Result, Transaction};

/// Returns each of these imports, with the manifest's text if the row has it.
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

/// Empties the table, and removes the manifests' texts from the rows.
pub fn forget_lingering(tx: &Transaction<'_>) -> Result<()> {
    tx.execute_batch(
        "UPDATE import SET manifest_text = NULL WHERE manifest_text IS NOT NULL;
         DELETE FROM lingering",
    )?;
    Ok(())
}
