//! Imports and spent manifest names in the state database.
//!
//! The states' order is held by the statements themselves: each moves an import only from the
//! state it may come from, and says so when there was nothing to move.

mod lingering;
mod list;
pub mod manifests;
mod row;
pub mod unfinished;
mod whole;

use jiff::Timestamp;
use rusqlite::params;
use serde::{Deserialize, Serialize};

pub use lingering::{forget_lingering, lingering};
pub use list::{Filter, list};
pub use manifests::spent_by;
pub use row::{ImportRow, claiming, get, unfinished, unfinished_ingests};
pub use whole::{continue_after, ids_of, set_aside, unfinished_of};

use super::{Error, Result, millis};
use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::report::{DataType, Failure, ImportState, Report};
use crate::state::Transaction;

/// Where an import's files come from; kept as JSON, so that a restart knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin<C> {
    /// Claimed out of incoming.
    Claim(C),
    /// A sysadmin's `ingest`: runs in that command, never in the sidecar.
    Ingest,
}

/// An import that is about to begin.
pub struct NewImport<'a, C> {
    /// Whose.
    pub account: &'a AccountId,
    /// The manifest's file name.
    pub manifest: &'a str,
    /// The data file's name, where known.
    pub data_file: Option<&'a str>,
    /// Event or profile, where known.
    pub data_type: Option<DataType>,
    /// Where its mail goes: the manifest's clientEmail, or another address in its place.
    pub client_email: Option<&'a str>,
    /// What the answers in results/ are named after.
    pub stem: &'a dyn Fn(&ImportId) -> String,
    /// Where its files come from.
    pub origin: Origin<C>,
    /// Why the pair is refused, if it is.
    pub refusal: Option<&'a Failure>,
    /// What is worth knowing of how its files came.
    pub warnings: &'a [String],
    /// When it was seen to be ready.
    pub received_at: Timestamp,
}

/// Writes a new import in state `claiming` (or `running` for an ingest), spends its manifest's
/// name if it is not spent yet, and returns its running
/// number and its id, which is `node`'s next.
///
/// # Errors
/// SQLite's, or `node` is not a node name.
pub fn insert<C: Serialize>(
    tx: &Transaction<'_>,
    node: &str,
    new: &NewImport<'_, C>,
) -> Result<(i64, ImportId)> {
    let state = match new.origin {
        Origin::Claim(_) => ImportState::Claiming,
        Origin::Ingest => ImportState::Running,
    };
    tx.prepare_cached(
        "INSERT INTO import (id, account, manifest, data_file, type, state, claim, refusal,
                             client_email, stem, received_at, warnings)
         VALUES (hex(randomblob(16)), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, '', ?9, ?10)",
    )?
    .execute(params![
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
    ])?;
    let n = tx.last_insert_rowid();
    let id = ImportId::new(node, n).map_err(|e| Error::Value(e.to_string()))?;
    tx.prepare_cached("UPDATE import SET id = ?1, stem = ?2 WHERE n = ?3")?.execute(params![
        id.as_str(),
        (new.stem)(&id),
        n
    ])?;
    tx.prepare_cached(
        "INSERT OR IGNORE INTO manifest_name (account, name, import) VALUES (?1, ?2, ?3)",
    )?
    .execute(params![new.account.as_str(), new.manifest, id.as_str()])?;
    Ok((n, id))
}

/// Takes back an import whose claim could not be made, or an ingest that has not begun: the row
/// and the name it spent.
///
/// # Errors
/// SQLite's, or the import is past that.
pub fn take_back(tx: &Transaction<'_>, id: &ImportId) -> Result<()> {
    let gone = tx
        .prepare_cached(
            "DELETE FROM import WHERE id = ?1
             AND (state = 'claiming' OR (state = 'running' AND starts = 0))",
        )?
        .execute([id.as_str()])?;
    moved(gone, id, "claiming")?;
    tx.prepare_cached("DELETE FROM manifest_name WHERE import = ?1")?.execute([id.as_str()])?;
    Ok(())
}

/// `claiming` → `queued`: its files are in the spool. With a `refusal` it will only be answered.
///
/// # Errors
/// SQLite's, or it was not `claiming`.
pub fn set_queued(tx: &Transaction<'_>, id: &ImportId, refusal: Option<&Failure>) -> Result<()> {
    let rows = tx
        .prepare_cached(
            "UPDATE import SET state = 'queued', refusal = coalesce(?2, refusal)
             WHERE id = ?1 AND state = 'claiming'",
        )?
        .execute(params![id.as_str(), refusal.map(serde_json::to_string).transpose()?])?;
    moved(rows, id, "claiming")
}

/// `queued` or `running` (cut off) → `running`; counts the start.
///
/// # Errors
/// SQLite's, or it has ended or is not claimed yet.
pub fn set_running(tx: &Transaction<'_>, id: &ImportId, at: Timestamp) -> Result<()> {
    let rows = tx
        .prepare_cached(
            "UPDATE import SET state = 'running', starts = starts + 1,
                               started_at = coalesce(started_at, ?2)
             WHERE id = ?1 AND state IN ('queued', 'running')",
        )?
        .execute(params![id.as_str(), millis(at)])?;
    moved(rows, id, "queued or running")
}

/// `running` → `queued` after a clean stop, which is not counted as a start.
///
/// # Errors
/// SQLite's, or it was not `running`.
pub fn set_stopped(tx: &Transaction<'_>, id: &ImportId) -> Result<()> {
    let rows = tx
        .prepare_cached(
            "UPDATE import SET state = 'queued', starts = starts - 1
             WHERE id = ?1 AND state = 'running'",
        )?
        .execute([id.as_str()])?;
    moved(rows, id, "running")
}

/// `running` → the report's state.
///
/// # Errors
/// SQLite's, or it was not `running`.
pub fn set_finished(
    tx: &Transaction<'_>,
    id: &ImportId,
    report: &Report,
    at: Timestamp,
) -> Result<()> {
    let rows = tx
        .prepare_cached(
            "UPDATE import SET state = ?2, finished_at = ?3, report = ?4,
                               type = coalesce(type, ?5)
             WHERE id = ?1 AND state = 'running'",
        )?
        .execute(params![
            id.as_str(),
            report.state.as_str(),
            millis(at),
            serde_json::to_string(report)?,
            report.data_type.map(DataType::as_str),
        ])?;
    moved(rows, id, "running")
}

/// `failed` → `queued`, to be run again from its spooled files.
///
/// # Errors
/// SQLite's, or it has not failed.
pub fn set_retry(tx: &Transaction<'_>, id: &ImportId) -> Result<()> {
    let rows = tx
        .prepare_cached(
            "UPDATE import SET state = 'queued', starts = 0, finished_at = NULL, report = NULL,
                               answer_removed_at = NULL
             WHERE id = ?1 AND state = 'failed'",
        )?
        .execute([id.as_str()])?;
    moved(rows, id, "failed")
}

fn moved(rows: usize, id: &ImportId, from: &str) -> Result<()> {
    match rows {
        1 => Ok(()),
        _ => Err(Error::Value(format!("import {id} in another state than {from}"))),
    }
}
