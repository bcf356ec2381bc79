//! [`ImportRow`], a whole row of the table `import`, and the queries that return it.

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
    /// Its running number on this node, in the order of claims.
    pub n: i64,
    pub id: ImportId,
    pub account: AccountId,
    /// The manifest's file name.
    pub manifest: String,
    /// The data file's name, if known.
    pub data_file: Option<String>,
    pub data_type: Option<DataType>,
    pub state: ImportState,
    pub origin: Origin<C>,
    /// If the pair is refused, the reason.
    pub refusal: Option<Failure>,
    /// Warnings about the upload of its files.
    pub warnings: Vec<String>,
    /// The recipient of its mail.
    pub client_email: Option<String>,
    /// The beginning of the names of its files in results/.
    pub stem: String,
    /// The number of starts that did not end in a clean stop.
    pub starts: u32,
    /// The time at which its pair was ready.
    pub received_at: Timestamp,
    /// The time of its first start: its "time of processing".
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// `Some` once it has ended.
    pub report: Option<Report>,
}

const COLUMNS: &str = "n, id, account, manifest, data_file, type, state, claim, refusal, \
     client_email, stem, starts, received_at, started_at, finished_at, report, warnings";

pub fn get<C: DeserializeOwned>(tx: &Transaction<'_>, id: &str) -> Result<Option<ImportRow<C>>> {
    let sql = format!("SELECT {COLUMNS} FROM import WHERE id = ?1");
    let mut statement = tx.prepare_cached(&sql)?;
    let mut rows = statement.query([id])?;
    rows.next()?.map(read).transpose()
}

/// Returns every claimed import that has not ended, in the order of claims.
pub fn unfinished<C: DeserializeOwned>(tx: &Transaction<'_>) -> Result<Vec<ImportRow<C>>> {
    select(
        tx,
        "state IN ('claiming', 'queued', 'running') AND claim <> '\"ingest\"' ORDER BY n",
        &[],
    )
}

/// Returns the account's imports whose claim is not carried out yet, in the order of claims.
pub fn claiming<C: DeserializeOwned>(
    tx: &Transaction<'_>,
    account: &AccountId,
) -> Result<Vec<ImportRow<C>>> {
    select(tx, "account = ?1 AND state = 'claiming' ORDER BY n", &[&account.as_str()])
}

/// Returns every `ingest` that has not ended.
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
