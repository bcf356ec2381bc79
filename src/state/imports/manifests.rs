//! The table `manifest_name`: which import spent which manifest name.

use rusqlite::OptionalExtension;

use crate::account::AccountId;
use crate::import_id::{ImportId, InvalidImportId};
use crate::state::{Error, Result, Transaction};

/// Returns the import that spent this manifest name.
pub fn spent_by(tx: &Transaction<'_>, account: &AccountId, name: &str) -> Result<Option<ImportId>> {
    let import: Option<String> = tx
        .prepare_cached("SELECT import FROM manifest_name WHERE account = ?1 AND name = ?2")?
        .query_row([account.as_str(), name], |row| row.get(0))
        .optional()?;
    import
        .map(|id| id.parse().map_err(|e: InvalidImportId| Error::Value(e.to_string())))
        .transpose()
}
