//! The table `manifest_name`: which import spent which manifest name.

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
