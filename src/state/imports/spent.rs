//! Manifest names that are spent: by which import, and how it took them.

use rusqlite::OptionalExtension;
use serde::de::DeserializeOwned;

use super::Origin;
use crate::account::AccountId;
use crate::import_id::{ImportId, InvalidImportId};
use crate::state::{Error, Result, Transaction};

/// Who had a manifest name.
#[derive(Clone, Debug)]
pub struct Spent<C> {
    /// The import.
    pub import: ImportId,
    /// Where its files came from, while its row is kept.
    pub origin: Option<Origin<C>>,
}

/// Which import spent this manifest name.
///
/// # Errors
/// SQLite's.
pub fn spent_by(tx: &Transaction<'_>, account: &AccountId, name: &str) -> Result<Option<ImportId>> {
    let import: Option<String> = tx
        .prepare_cached("SELECT import FROM manifest_name WHERE account = ?1 AND name = ?2")?
        .query_row([account.as_str(), name], |row| row.get(0))
        .optional()?;
    import.map(parse).transpose()
}

/// As [`spent_by`], with where the import's files came from.
///
/// # Errors
/// SQLite's, or the row holds what this program doesn't understand.
pub fn spent<C: DeserializeOwned>(
    tx: &Transaction<'_>,
    account: &AccountId,
    name: &str,
) -> Result<Option<Spent<C>>> {
    let row: Option<(String, Option<String>)> = tx
        .prepare_cached(
            "SELECT m.import, i.claim FROM manifest_name m LEFT JOIN import i ON i.id = m.import
             WHERE m.account = ?1 AND m.name = ?2",
        )?
        .query_row([account.as_str(), name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((import, origin)) = row else { return Ok(None) };
    let origin = origin.map(|json| serde_json::from_str(&json)).transpose()?;
    Ok(Some(Spent { import: parse(import)?, origin }))
}

fn parse(id: String) -> Result<ImportId> {
    id.parse().map_err(|e: InvalidImportId| Error::Value(e.to_string()))
}
