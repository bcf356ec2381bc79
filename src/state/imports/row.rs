//! [`ImportRow`]: an import as its row has it, and the queries that read it whole.

use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::Row;
use serde::de::DeserializeOwned;

use super::super::{Error, Result, timestamp};
use super::Origin;
use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::report::{DataType, Failure, ImportState, Report};
use crate::state::Transaction;

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

pub(super) fn select<C: DeserializeOwned>(
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
