//! The tables `manifest_name` and `lingering`.
//!
//! `manifest_name` records which import used which manifest name. A used manifest name is called
//! spent. `lingering` lists imports of an earlier version whose manifest may still have its name in
//! incoming, or its text in the row of the import. Migration 8 fills `lingering`. The first start
//! after the migration empties it.

use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::state::db::transaction::parsed;
use crate::state::{Result, Transaction};

/// Returns the import that has used a manifest name of an account. Returns `None` if the name is
/// unused.
pub fn find_spender(
    tx: &Transaction<'_>,
    account: &AccountId,
    name: &str,
) -> Result<Option<ImportId>> {
    let sql = "SELECT import FROM manifest_name WHERE account = ?1 AND name = ?2";
    tx.select_first(sql, [account.as_str(), name], |row| parsed(row, 0))
}

/// Returns each import in the table `lingering`. The text of the manifest is included if the row
/// of the import contains it.
pub fn list_lingering(tx: &Transaction<'_>) -> Result<Vec<(ImportId, Option<String>)>> {
    tx.select(
        "SELECT import, manifest_text FROM lingering JOIN import ON import.id = lingering.import",
        [],
        |row| Ok((parsed(row, 0)?, row.get(1)?)),
    )
}

/// Empties the table `lingering`, and removes the texts of manifests from the rows of imports.
pub fn clear_lingering(tx: &Transaction<'_>) -> Result<()> {
    tx.execute_batch(
        "UPDATE import SET manifest_text = NULL WHERE manifest_text IS NOT NULL;
         DELETE FROM lingering",
    )?;
    Ok(())
}
