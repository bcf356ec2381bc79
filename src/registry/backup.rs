//! Copies the registry's tables into a backup of the state database, so that a backup is a single
//! file.

use rusqlite::{Connection, types::Value};

use super::accounts::{self, Account};
use super::database::Registry;
use super::error::Result;
use super::keys::{self, ApprovedKey};

/// The names of the registry's tables. Each pair has the name in the registry and the name in a
/// backup.
const TABLES: [(&str, &str); 2] =
    [("account", "registry_account"), ("approved", "registry_approved")];

/// The accounts and keys that a database contains. Root may not have approved them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountsAndKeys {
    pub accounts: Vec<Account>,
    /// All keys of the database, including revoked keys.
    pub keys: Vec<ApprovedKey>,
    /// The number of rows of the database that contain neither a valid account nor a valid key.
    pub unreadable: usize,
}

/// Writes the content of `registry` into `backup`, if a registry exists. First removes tables with
/// the same names from `backup`, because a copy of a state database could contain such tables that
/// root did not write.
pub fn write(registry: Option<&Registry>, backup: &Connection) -> Result<()> {
    remove(backup)?;
    let Some(registry) = registry else { return Ok(()) };
    registry.read(|tx| {
        let into = backup.unchecked_transaction()?;
        for (from, to) in TABLES {
            copy(tx, from, &into, to)?;
        }
        Ok(into.commit()?)
    })
}

fn copy(from: &Connection, table: &str, to: &Connection, new: &str) -> Result<()> {
    let mut rows = from.prepare(&format!("SELECT * FROM {table}"))?;
    let columns: Vec<String> = rows.column_names().map(str::to_owned).collect();
    to.execute_batch(&format!("CREATE TABLE {new} ({})", columns.join(", ")))?;
    let places = vec!["?"; columns.len()].join(", ");
    let mut insert = to.prepare(&format!("INSERT INTO {new} VALUES ({places})"))?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let values =
            (0..columns.len()).map(|n| row.get(n)).collect::<rusqlite::Result<Vec<Value>>>();
        insert.execute(rusqlite::params_from_iter(values?))?;
    }
    Ok(())
}

/// Returns the accounts and keys of the registry that `backup` contains. If `backup` contains no
/// registry, returns the accounts and keys of its state database.
pub fn read(backup: &Connection) -> Result<AccountsAndKeys> {
    let count: i64 = backup.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN (?1, ?2)",
        TABLES.map(|(_, name)| name),
        |row| row.get(0),
    )?;
    match count == TABLES.len() as i64 {
        true => read_tables(backup, TABLES[0].1, TABLES[1].1, "approved_at"),
        false => read_state(backup),
    }
}

/// Returns the accounts and keys of a state database with any schema.
pub fn read_state(database: &Connection) -> Result<AccountsAndKeys> {
    read_tables(database, "account", "key", "created_at")
}

/// Returns all accounts and keys of `registry`.
pub fn read_registry(registry: &Registry) -> Result<AccountsAndKeys> {
    registry.read(|tx| read_tables(tx, TABLES[0].0, TABLES[1].0, "approved_at"))
}

/// Reads the accounts and keys of two tables. Skips and counts the rows that no version of this
/// program could have written.
fn read_tables(
    database: &Connection,
    account: &str,
    key: &str,
    approved_at: &str,
) -> Result<AccountsAndKeys> {
    let mut found = AccountsAndKeys::default();
    let mut rows =
        database.prepare(&format!("SELECT id, uid, state FROM {account} ORDER BY id"))?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        match accounts::from_row(row) {
            Ok(account) => found.accounts.push(account),
            Err(_) => found.unreadable += 1,
        }
    }
    let mut rows = database.prepare(&format!(
        "SELECT account, name, algorithm, public_key, fingerprint, from_hosts, expires_at,
                {approved_at} AS approved_at, revoked_at FROM {key} ORDER BY account, id"
    ))?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        match keys::from_row(row) {
            Ok(key) => found.keys.push(key),
            Err(_) => found.unreadable += 1,
        }
    }
    Ok(found)
}

/// Removes the tables of the registry from a copy of a backup. The copy is then a plain state
/// database.
pub fn remove(copy: &Connection) -> rusqlite::Result<()> {
    TABLES
        .iter()
        .try_for_each(|(_, table)| copy.execute_batch(&format!("DROP TABLE IF EXISTS {table}")))
}
