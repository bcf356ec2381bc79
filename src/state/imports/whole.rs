//! The numbering of imports, and all imports of an account.

use jiff::Timestamp;
use rusqlite::params;
use serde::de::DeserializeOwned;

use super::super::{Error, Result, millis};
use super::moved;
use super::row::{ImportRow, select};
use crate::account::AccountId;
use crate::import_id::{ImportId, InvalidImportId};
use crate::report::Report;
use crate::state::Transaction;

/// Makes the running number of the next import higher than `n` and than all existing ones.
pub fn continue_after(tx: &Transaction<'_>, n: i64) -> rusqlite::Result<()> {
    // The row exists only after the first import: sqlite.org/autoinc.html.
    tx.execute(
        "INSERT INTO sqlite_sequence (name, seq)
         SELECT 'import', 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'import')",
        [],
    )?;
    tx.execute("UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'import'", [n])?;
    Ok(())
}

/// Moves an import from any state before the end to `failed`, so that it never runs again.
pub fn set_aside(
    tx: &Transaction<'_>,
    id: &ImportId,
    report: &Report,
    at: Timestamp,
) -> Result<()> {
    let rows = tx
        .prepare_cached(
            "UPDATE import SET state = 'failed', finished_at = ?2, report = ?3
             WHERE id = ?1 AND state IN ('claiming', 'queued', 'running')",
        )?
        .execute(params![id.as_str(), millis(at), serde_json::to_string(report)?])?;
    moved(rows, id, "claiming, queued or running")
}

/// Returns the account's imports that have not ended, including each `ingest`, in the order of
/// claims.
pub fn unfinished_of<C: DeserializeOwned>(
    tx: &Transaction<'_>,
    account: &AccountId,
) -> Result<Vec<ImportRow<C>>> {
    select(
        tx,
        "account = ?1 AND state IN ('claiming', 'queued', 'running') ORDER BY n",
        &[&account.as_str()],
    )
}

/// Returns the ids of all imports of the account.
pub fn ids_of(tx: &Transaction<'_>, account: &AccountId) -> Result<Vec<ImportId>> {
    let mut statement = tx.prepare_cached("SELECT id FROM import WHERE account = ?1 ORDER BY n")?;
    let ids = statement.query_map([account.as_str()], |row| row.get::<_, String>(0))?;
    ids.map(|id| id?.parse().map_err(|e: InvalidImportId| Error::Value(e.to_string()))).collect()
}
