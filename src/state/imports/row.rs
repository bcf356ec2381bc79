//! [`ImportRow`] is a whole row of the table `import`. This file has the queries that return whole
//! rows.

use jiff::Timestamp;
use rusqlite::{Row, ToSql};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::report::{DataType, Failure, ImportState, Report};
use crate::state::db::transaction::{json, optional_time, parsed, time};
use crate::state::{Result, Transaction};

/// The source of an import's files. It is stored as JSON, so that it is known after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin<C> {
    /// The daemon claimed the files of the import from incoming.
    Claim(C),
    /// The command `ingest` of a sysadmin runs the import. The daemon never runs it.
    Ingest,
}

/// The state of one import, as the table `import` stores it.
#[derive(Clone, Debug)]
pub struct ImportRow<C> {
    /// The running number of the import on this node. The numbers follow the order of the claims.
    pub n: i64,
    pub id: ImportId,
    pub account: AccountId,
    /// The file name of the import's manifest.
    pub manifest: String,
    /// The file name of the import's data file. `None` if the name is not known.
    pub data_file: Option<String>,
    pub data_type: Option<DataType>,
    pub state: ImportState,
    pub origin: Origin<C>,
    /// The reason why the pair of files was refused. `None` if the pair was not refused.
    pub refusal: Option<Failure>,
    /// Warnings about the upload of the import's files.
    pub warnings: Vec<String>,
    /// The address of the recipient of the import's mail.
    pub client_email: Option<String>,
    /// The common beginning of the names of the import's files in results/.
    pub stem: String,
    /// The number of times that the import was started. A start that ended in a clean stop does
    /// not count.
    pub starts: u32,
    /// The time at which the import's pair of files was ready.
    pub received_at: Timestamp,
    /// The time of the import's first start. Reports call it "time of processing".
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// The report on the import. `None` until the import has ended.
    pub report: Option<Report>,
}

const COLUMNS: &str = "n, id, account, manifest, data_file, type, state, claim, refusal, \
     client_email, stem, starts, received_at, started_at, finished_at, report, warnings";

pub fn get<C: DeserializeOwned>(tx: &Transaction<'_>, id: &str) -> Result<Option<ImportRow<C>>> {
    tx.select_first(&format!("SELECT {COLUMNS} FROM import WHERE id = ?1"), [id], from_row)
}

/// Returns all claimed imports that have not ended, in the order of their claims.
pub fn unfinished<C: DeserializeOwned>(tx: &Transaction<'_>) -> Result<Vec<ImportRow<C>>> {
    select(
        tx,
        "state IN ('claiming', 'queued', 'running') AND claim <> '\"ingest\"' ORDER BY n",
        &[],
    )
}

/// Returns the account's imports whose claim is not complete, in the order of their claims.
pub fn claiming<C: DeserializeOwned>(
    tx: &Transaction<'_>,
    account: &AccountId,
) -> Result<Vec<ImportRow<C>>> {
    select(tx, "account = ?1 AND state = 'claiming' ORDER BY n", &[&account.as_str()])
}

/// Returns all imports of the command `ingest` that have not ended.
pub fn unfinished_ingests<C: DeserializeOwned>(tx: &Transaction<'_>) -> Result<Vec<ImportRow<C>>> {
    select(tx, "state = 'running' AND claim = '\"ingest\"' ORDER BY n", &[])
}

/// Returns all imports of an account that have not ended, in the order of their claims. Imports of
/// the command `ingest` are included.
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

/// Returns the account's last claimed import whose files in results/ have the stem `stem`. The
/// import `except` is left out.
pub fn last_with_stem(
    tx: &Transaction<'_>,
    account: &AccountId,
    stem: &str,
    except: &ImportId,
) -> Result<Option<ImportId>> {
    let sql = "SELECT id FROM import WHERE account = ?1 AND stem = ?2 AND id <> ?3
               AND claim <> '\"ingest\"' ORDER BY n DESC LIMIT 1";
    tx.select_first(sql, [account.as_str(), stem, except.as_str()], |row| parsed(row, 0))
}

pub(super) fn select<C: DeserializeOwned>(
    tx: &Transaction<'_>,
    condition: &str,
    values: &[&dyn ToSql],
) -> Result<Vec<ImportRow<C>>> {
    tx.select(&format!("SELECT {COLUMNS} FROM import WHERE {condition}"), values, from_row)
}

fn from_row<C: DeserializeOwned>(row: &Row<'_>) -> Result<ImportRow<C>> {
    Ok(ImportRow {
        n: row.get("n")?,
        id: parsed(row, "id")?,
        account: parsed(row, "account")?,
        manifest: row.get("manifest")?,
        data_file: row.get("data_file")?,
        data_type: row.get::<_, Option<String>>("type")?.map(|t| from_word(&t)).transpose()?,
        state: from_word(&row.get::<_, String>("state")?)?,
        origin: serde_json::from_str(&row.get::<_, String>("claim")?)?,
        refusal: json(row, "refusal")?,
        warnings: json(row, "warnings")?.unwrap_or_default(),
        client_email: row.get("client_email")?,
        stem: row.get("stem")?,
        starts: row.get("starts")?,
        received_at: time(row, "received_at")?,
        started_at: optional_time(row, "started_at")?,
        finished_at: optional_time(row, "finished_at")?,
        report: json(row, "report")?,
    })
}

/// Parses an enum value from the name that serde gives it.
fn from_word<T: DeserializeOwned>(word: &str) -> Result<T> {
    Ok(serde_json::from_value(serde_json::Value::from(word))?)
}
