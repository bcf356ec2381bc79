//! Inserts the row of an import and moves the import from state to state.
//!
//! Invariant: an import changes its state only by the functions in this file. Each SQL statement
//! names the state before the transition. A function returns an error if the import is in another
//! state.

use jiff::Timestamp;
use rusqlite::params;
use serde::Serialize;

use super::row::Origin;
use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::report::{DataType, Failure, ImportState, Report};
use crate::state::{Error, Result, Transaction, millis};

/// The data of an import that is about to begin.
pub struct NewImport<'a, C> {
    pub account: &'a AccountId,
    /// The file name of the import's manifest.
    pub manifest: &'a str,
    /// The file name of the import's data file. `None` if the name is not known.
    pub data_file: Option<&'a str>,
    pub data_type: Option<DataType>,
    /// The address of the recipient of the import's mail: the manifest's clientEmail, or another
    /// address that replaces it.
    pub client_email: Option<&'a str>,
    /// A function that returns the common beginning of the names of the import's files in results/.
    pub stem: &'a dyn Fn(&ImportId) -> String,
    /// The manifest name that the import uses up. `None` if the import uses up no name.
    pub spends: Option<&'a str>,
    pub origin: Origin<C>,
    /// The reason why the pair of files is refused. `None` if the pair is not refused.
    pub refusal: Option<&'a Failure>,
    /// Warnings about the upload of the import's files.
    pub warnings: &'a [String],
    /// The time at which the import's pair of files was ready.
    pub received_at: Timestamp,
}

/// Adds an import in state `claiming`, or in state `running` for the command `ingest`. Marks the
/// manifest's name as used if it is unused. Returns the running number and the id of the import.
/// The id contains `node` and the running number.
pub fn insert<C: Serialize>(
    tx: &Transaction<'_>,
    node: &str,
    new: &NewImport<'_, C>,
) -> Result<(i64, ImportId)> {
    let state = match new.origin {
        Origin::Claim(_) => ImportState::Claiming,
        Origin::Ingest => ImportState::Running,
    };
    tx.change(
        "INSERT INTO import (id, account, manifest, data_file, type, state, claim, refusal,
                             client_email, stem, received_at, warnings)
         VALUES (hex(randomblob(16)), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, '', ?9, ?10)",
        params![
            new.account.as_str(),
            new.manifest,
            new.data_file,
            new.data_type.map(DataType::as_str),
            state.as_str(),
            serde_json::to_string(&new.origin)?,
            new.refusal.map(serde_json::to_string).transpose()?,
            new.client_email,
            millis(new.received_at),
            (!new.warnings.is_empty()).then(|| serde_json::to_string(new.warnings)).transpose()?,
        ],
    )?;
    let n = tx.last_insert_rowid();
    let id = ImportId::new(node, n).map_err(|e| Error::Value(e.to_string()))?;
    // The name of a renamed answer is the id of its import, even if the id contains an earlier
    // node name.
    let sql = "UPDATE import SET id = ?1,
                   stem = iif(EXISTS (SELECT 1 FROM import WHERE id = ?2 AND account = ?4), ?1, ?2)
               WHERE n = ?3";
    tx.change(sql, params![id.as_str(), (new.stem)(&id), n, new.account.as_str()])?;
    if let Some(name) = new.spends {
        tx.change(
            "INSERT OR IGNORE INTO manifest_name (account, name, import) VALUES (?1, ?2, ?3)",
            [new.account.as_str(), name, id.as_str()],
        )?;
    }
    Ok((n, id))
}

/// Removes an import whose claim failed, or an `ingest` that has not begun. The manifest name
/// becomes unused again. Returns an error if the import is in a later state.
pub fn undo_insert(tx: &Transaction<'_>, id: &ImportId) -> Result<()> {
    let rows = tx.change(
        "DELETE FROM import WHERE id = ?1
         AND (state = 'claiming' OR (state = 'running' AND starts = 0))",
        [id.as_str()],
    )?;
    expect_one(rows, id, "claiming")?;
    tx.change("DELETE FROM manifest_name WHERE import = ?1", [id.as_str()])?;
    Ok(())
}

/// Moves an import from `claiming` to `queued`, because its files are now in the spool. An import
/// with a `refusal` gets an answer but does not run.
pub fn set_queued(tx: &Transaction<'_>, id: &ImportId, refusal: Option<&Failure>) -> Result<()> {
    let refusal = refusal.map(serde_json::to_string).transpose()?;
    let rows = tx.change(
        "UPDATE import SET state = 'queued', refusal = coalesce(?2, refusal)
         WHERE id = ?1 AND state = 'claiming'",
        params![id.as_str(), refusal],
    )?;
    expect_one(rows, id, "claiming")
}

/// Moves an import from `queued` to `running`, and counts the start. Also counts another start of
/// an import in state `running` that was interrupted.
pub fn set_running(tx: &Transaction<'_>, id: &ImportId, at: Timestamp) -> Result<()> {
    let rows = tx.change(
        "UPDATE import SET state = 'running', starts = starts + 1,
                           started_at = coalesce(started_at, ?2)
         WHERE id = ?1 AND state IN ('queued', 'running')",
        params![id.as_str(), millis(at)],
    )?;
    expect_one(rows, id, "queued or running")
}

/// Moves an import from `running` to `queued` after a clean stop. The interrupted start is no
/// longer counted.
pub fn set_stopped(tx: &Transaction<'_>, id: &ImportId) -> Result<()> {
    let rows = tx.change(
        "UPDATE import SET state = 'queued', starts = starts - 1
         WHERE id = ?1 AND state = 'running'",
        [id.as_str()],
    )?;
    expect_one(rows, id, "running")
}

/// Moves an import from `running` to the state in the import's report.
pub fn set_finished(
    tx: &Transaction<'_>,
    id: &ImportId,
    report: &Report,
    at: Timestamp,
) -> Result<()> {
    let (state, data_type) = (report.state.as_str(), report.data_type.map(DataType::as_str));
    let rows = tx.change(
        "UPDATE import SET state = ?2, finished_at = ?3, report = ?4,
                           type = coalesce(type, ?5)
         WHERE id = ?1 AND state = 'running'",
        params![id.as_str(), state, millis(at), serde_json::to_string(report)?, data_type],
    )?;
    expect_one(rows, id, "running")
}

/// Records that an import's files in results/ are named after its id. If the import has ended, also
/// records the report with these names.
pub fn set_stem_to_id(tx: &Transaction<'_>, id: &ImportId, report: Option<&Report>) -> Result<()> {
    tx.change(
        "UPDATE import SET stem = id, report = coalesce(?2, report) WHERE id = ?1",
        params![id.as_str(), report.map(serde_json::to_string).transpose()?],
    )?;
    Ok(())
}

/// Moves an import from `failed` to `queued`, so that the import runs again with the files in the
/// spool.
pub fn set_retry(tx: &Transaction<'_>, id: &ImportId) -> Result<()> {
    let rows = tx.change(
        "UPDATE import SET state = 'queued', starts = 0, finished_at = NULL, report = NULL,
                           answer_removed_at = NULL
         WHERE id = ?1 AND state = 'failed'",
        [id.as_str()],
    )?;
    expect_one(rows, id, "failed")
}

/// Moves an unfinished import to `failed`, so that it never runs again.
pub fn fail_unfinished(
    tx: &Transaction<'_>,
    id: &ImportId,
    report: &Report,
    at: Timestamp,
) -> Result<()> {
    let rows = tx.change(
        "UPDATE import SET state = 'failed', finished_at = ?2, report = ?3
         WHERE id = ?1 AND state IN ('claiming', 'queued', 'running')",
        params![id.as_str(), millis(at), serde_json::to_string(report)?],
    )?;
    expect_one(rows, id, "claiming, queued or running")
}

/// Returns an error unless a statement changed exactly one row. `from` is the expected state
/// before the transition.
fn expect_one(rows: usize, id: &ImportId, from: &str) -> Result<()> {
    match rows {
        1 => Ok(()),
        _ => Err(Error::Value(format!("import {id} in a state other than {from}"))),
    }
}
