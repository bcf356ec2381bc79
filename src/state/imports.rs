//! Imports and spent manifest names in the state database.
//!
//! The states' order is held by the statements themselves: each moves an import only from the
//! state it may come from, and says so when there was nothing to move.

mod kept;
mod list;
mod spent;
mod whole;

use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::{Row, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use kept::{forget_manifest, keep_manifest, kept_manifest};
pub use list::{Filter, list};
pub use spent::{Spent, spent, spent_by};
pub use whole::{continue_after, ids_of, set_aside, unfinished_of};

use super::{Error, Result, millis, timestamp};
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
    /// The manifest's clientEmail, where known and allowed.
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

/// One import.
#[derive(Clone, Debug)]
pub struct ImportRow<C> {
    /// Its running number on this node: the order of claims.
    pub n: i64,
    /// Its id.
    pub id: ImportId,
    /// Whose.
    pub account: AccountId,
    /// The manifest's file name.
    pub manifest: String,
    /// The data file's name, where known.
    pub data_file: Option<String>,
    /// Event or profile, where known.
    pub data_type: Option<DataType>,
    /// Where it is.
    pub state: ImportState,
    /// Where its files come from.
    pub origin: Origin<C>,
    /// Why the pair is refused, if it is.
    pub refusal: Option<Failure>,
    /// What is worth knowing of how its files came.
    pub warnings: Vec<String>,
    /// Where its mail goes.
    pub client_email: Option<String>,
    /// What the answers in results/ are named after.
    pub stem: String,
    /// How often it began to run and was not stopped cleanly.
    pub starts: u32,
    /// When it was seen to be ready.
    pub received_at: Timestamp,
    /// When it first began to run: its "time of processing".
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// What it came to, once it ended.
    pub report: Option<Report>,
}

const COLUMNS: &str = "n, id, account, manifest, data_file, type, state, claim, refusal, \
     client_email, stem, starts, received_at, started_at, finished_at, report, warnings";

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

/// One import.
///
/// # Errors
/// SQLite's, or the row holds what this program doesn't understand.
pub fn get<C: DeserializeOwned>(tx: &Transaction<'_>, id: &str) -> Result<Option<ImportRow<C>>> {
    let sql = format!("SELECT {COLUMNS} FROM import WHERE id = ?1");
    let mut statement = tx.prepare_cached(&sql)?;
    let mut rows = statement.query([id])?;
    rows.next()?.map(read).transpose()
}

/// Every claimed import that has not ended, in the order of claims.
///
/// # Errors
/// As [`get`].
pub fn unfinished<C: DeserializeOwned>(tx: &Transaction<'_>) -> Result<Vec<ImportRow<C>>> {
    select(
        tx,
        "state IN ('claiming', 'queued', 'running') AND claim <> '\"ingest\"' ORDER BY n",
        &[],
    )
}

/// The account's imports whose claim is not carried out yet, in the order of claims.
///
/// # Errors
/// As [`get`].
pub fn claiming<C: DeserializeOwned>(
    tx: &Transaction<'_>,
    account: &AccountId,
) -> Result<Vec<ImportRow<C>>> {
    select(tx, "account = ?1 AND state = 'claiming' ORDER BY n", &[&account.as_str()])
}

/// Every `ingest` that has not ended.
///
/// # Errors
/// As [`get`].
pub fn unfinished_ingests<C: DeserializeOwned>(tx: &Transaction<'_>) -> Result<Vec<ImportRow<C>>> {
    select(tx, "state = 'running' AND claim = '\"ingest\"' ORDER BY n", &[])
}

fn select<C: DeserializeOwned>(
    tx: &Transaction<'_>,
    condition: &str,
    parameters: &[&dyn rusqlite::ToSql],
) -> Result<Vec<ImportRow<C>>> {
    let mut statement =
        tx.prepare_cached(&format!("SELECT {COLUMNS} FROM import WHERE {condition}"))?;
    let mut rows = statement.query(parameters)?;
    let mut imports = Vec::new();
    while let Some(row) = rows.next()? {
        imports.push(read(row)?);
    }
    Ok(imports)
}

fn read<C: DeserializeOwned>(row: &Row<'_>) -> Result<ImportRow<C>> {
    Ok(ImportRow {
        n: row.get("n")?,
        id: word(row, "id")?,
        account: word(row, "account")?,
        manifest: row.get("manifest")?,
        data_file: row.get("data_file")?,
        data_type: row.get::<_, Option<String>>("type")?.map(|t| lowercase(&t)).transpose()?,
        state: lowercase(&row.get::<_, String>("state")?)?,
        origin: serde_json::from_str(&row.get::<_, String>("claim")?)?,
        refusal: json(row, "refusal")?,
        warnings: json(row, "warnings")?.unwrap_or_default(),
        client_email: row.get("client_email")?,
        stem: row.get("stem")?,
        starts: row.get("starts")?,
        received_at: timestamp(row.get("received_at")?)?,
        started_at: row.get::<_, Option<i64>>("started_at")?.map(timestamp).transpose()?,
        finished_at: row.get::<_, Option<i64>>("finished_at")?.map(timestamp).transpose()?,
        report: json(row, "report")?,
    })
}

fn word<T: FromStr<Err: std::fmt::Display>>(row: &Row<'_>, column: &str) -> Result<T> {
    row.get::<_, String>(column)?.parse().map_err(|e: T::Err| Error::Value(e.to_string()))
}

fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
}

fn lowercase<T: DeserializeOwned>(word: &str) -> Result<T> {
    Ok(serde_json::from_value(serde_json::Value::from(word))?)
}

fn moved(rows: usize, id: &ImportId, from: &str) -> Result<()> {
    match rows {
        1 => Ok(()),
        _ => Err(Error::Value(format!("import {id} in another state than {from}"))),
    }
}
