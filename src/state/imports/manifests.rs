//! The table `manifest_name`: which import spent which manifest name. And the table `lingering`:
//! imports of an earlier version whose manifest may still have its name in incoming, or its text in
//! the import's row. Migration 8 fills it; the first start after that empties it.

use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::state::db::transaction::parsed;
use crate::state::{Result, Transaction};

/// Returns the import that spent this manifest name.
pub fn find_spender(
    tx: &Transaction<'_>,
    account: &AccountId,
    name: &str,
) -> Result<Option<ImportId>> {
    let sql = "SELECT import FROM manifest_name WHERE account = ?1 AND name = ?2";
    tx.select_first(sql, [account.as_str(), name], |row| parsed(row, 0))
}

/// Returns each import in `lingering`, with the manifest's text if the row has it.
pub fn list_lingering(tx: &Transaction<'_>) -> Result<Vec<(ImportId, Option<String>)>> {
    tx.select(
        "SELECT import, manifest_text FROM lingering JOIN import ON import.id = lingering.import",
        [],
        |row| Ok((parsed(row, 0)?, row.get(1)?)),
    )
}

/// Empties `lingering`, and removes the manifests' texts from the rows.
pub fn clear_lingering(tx: &Transaction<'_>) -> Result<()> {
    tx.execute_batch(
        "UPDATE import SET manifest_text = NULL WHERE manifest_text IS NOT NULL;
         DELETE FROM lingering",
    )?;
    Ok(())
}
