//! [`ImportRow`], a whole row of the table `import`, and the queries that return it.

use jiff::Timestamp;
use rusqlite::{Row, ToSql};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::report::{DataType, Failure, ImportState, Report};
use crate::state::db::transaction::{json, optional_time, parsed, time};
use crate::state::{Result, Transaction};

/// Where an import's files come from. Stored as JSON, so that it is known after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin<C> {
    /// Claimed from incoming.
    Claim(C),
    /// A sysadmin's `ingest`, which runs in that command and never in the daemon.
    Ingest,
}

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
    tx.select_first(&format!("SELECT {COLUMNS} FROM import WHERE id = ?1"), [id], from_row)
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

/// Returns the account's last claimed import with this stem, other than `except`. Reads the
/// account's imports from the newest one on.
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

/// Converts the text of an enum, as serde names it.
fn from_word<T: DeserializeOwned>(word: &str) -> Result<T> {
    Ok(serde_json::from_value(serde_json::Value::from(word))?)
}
