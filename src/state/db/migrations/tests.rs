//! Tests of upgrades from the first schema with a row in every table, and of refused upgrades.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::schema::{MIGRATIONS, newest};
use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::recipient::RecipientRule;
use crate::report::ImportState;
use crate::state::db::backup;
use crate::state::imports::{ImportFilter, ImportRow};
use crate::state::{
    BackupError, Error, State, accounts, activity, deliveries, endpoints, imports, keys,
};

const DATA: &str = include_str!("../../../../tests/upgrade/schema-1.sql");

/// Creates a database in WAL mode, like the first version of the program.
fn first(folder: &Path) -> PathBuf {
    let path = folder.join("state.db");
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection.execute_batch(MIGRATIONS[0]).unwrap();
    connection.execute_batch(DATA).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    path
}

fn copies(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_string_lossy().contains(".schema-")).collect()
}

/// Returns the rows of every table of `database` as text. Only columns that exist in the database
/// `of` are included.
fn rows(database: &Connection, of: &Connection) -> Vec<String> {
    let tables = column(of, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name");
    let mut rows = Vec::new();
    for table in tables {
        let columns = column(of, &format!("SELECT name FROM pragma_table_info('{table}')"));
        let text: Vec<_> = columns.iter().map(|c| format!("quote({c})")).collect();
        let sql = format!("SELECT {} FROM {table} ORDER BY 1", text.join(" || ',' || "));
        rows.extend(column(database, &sql).into_iter().map(|row| format!("{table}: {row}")));
    }
    rows
}

fn column(database: &Connection, sql: &str) -> Vec<String> {
    let mut statement = database.prepare(sql).unwrap();
    let values = statement.query_map([], |row| row.get(0)).unwrap();
    values.map(Result::unwrap).collect()
}

#[test]
fn the_first_schema_has_rows_in_every_table() {
    let folder = tempfile::tempdir().unwrap();
    let old = Connection::open(first(folder.path())).unwrap();
    for table in column(&old, "SELECT name FROM sqlite_schema WHERE type = 'table'") {
        let rows = column(&old, &format!("SELECT quote(count(*)) FROM {table}"));
        assert_ne!(rows, ["0"], "{table}");
    }
}

#[test]
fn an_upgrade_keeps_every_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = first(folder.path());
    drop(State::open(&path).unwrap());
    let copies = copies(folder.path());
    assert_eq!(copies.len(), 1, "{copies:?}");
    assert_eq!(backup::check(&copies[0]).unwrap(), 1);
    let (old, new) = (Connection::open(&copies[0]).unwrap(), Connection::open(&path).unwrap());
    assert_eq!(rows(&new, &old), rows(&old, &old));
    assert_eq!(backup::check(&path).unwrap(), newest());
    drop(State::open(&path).unwrap());
    assert_eq!(self::copies(folder.path()).len(), 1, "the upgrade must run only once");
}

#[test]
fn an_upgraded_schema_equals_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let upgraded = first(folder.path());
    let new = folder.path().join("new.db");
    drop(State::open(&upgraded).unwrap());
    drop(State::open(&new).unwrap());
    let schema = |path: &Path| {
        let sql =
            "SELECT type || name || tbl_name || coalesce(sql, '') FROM sqlite_schema ORDER BY 1";
        column(&Connection::open(path).unwrap(), sql)
    };
    assert_eq!(schema(&upgraded), schema(&new));
    assert!(copies(folder.path()).iter().all(|copy| !copy.to_string_lossy().contains("new.db")));
}

#[test]
fn upgraded_rows_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(&first(folder.path())).unwrap();
    let acme: AccountId = "ACME-1".parse().unwrap();
    state
        .read(|tx| {
            let account = accounts::get(tx, &acme)?.unwrap();
            let domains = vec!["acme.example".to_owned()];
            assert_eq!(account.recipients, RecipientRule::Limited { addresses: vec![], domains });
            let all = accounts::list(tx)?;
            assert_eq!((all.len(), &all[1].recipients), (2, &RecipientRule::Any));
            assert_eq!(keys::list(tx, Some(&acme), true)?.len(), 2);
            assert_eq!(endpoints::list(tx, Some(&acme))?.len(), 2);
            let rows: Vec<ImportRow<serde_json::Value>> =
                imports::list(tx, &ImportFilter { limit: 9, ..ImportFilter::default() })?;
            let states: Vec<_> = rows.iter().map(|row| row.state).collect();
            let expected = [ImportState::Running, ImportState::Queued, ImportState::Completed];
            assert_eq!(states, expected);
            assert_eq!(rows[2].report.as_ref().unwrap().records.accepted, 3);
            let spent = imports::find_spender(tx, &acme, "e.manifest")?;
            assert_eq!(spent.as_ref().map(ImportId::as_str), Some("sftp1-41"));
            let all = deliveries::DeliveryFilter { limit: 9, ..Default::default() };
            assert_eq!(deliveries::list(tx, &all)?.len(), 2);
            assert_eq!(deliveries::list_attempts(tx, 2)?.len(), 1);
            assert_eq!(activity::recent(tx, Some(&acme), 9)?.len(), 2);
            Ok::<_, Error>(())
        })
        .unwrap();
}

#[test]
fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = first(folder.path());
    drop(State::open(&path).unwrap());
    let copy = copies(folder.path()).remove(0);
    let raw = Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    let error = State::open(&path).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 99, .. }));
    let way_back = format!("sftp-import restore {}", copy.display());
    assert!(error.to_string().contains(&way_back), "{error}");
    std::fs::remove_file(copy).unwrap();
    let error = State::open(&path).unwrap_err().to_string();
    assert!(error.contains(&format!("state.db.schema-{}-TIME", newest())), "{error}");
}

#[test]
fn an_upgrade_without_a_copy_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = first(folder.path());
    let raw = Connection::open(&path).unwrap();
    // The index does not match its table. The check of the copy finds this damage.
    raw.execute_batch(
        "PRAGMA writable_schema = on;
         UPDATE sqlite_schema SET sql = 'CREATE INDEX import_account ON import (manifest, n)'
         WHERE name = 'import_account'",
    )
    .unwrap();
    drop(raw);
    let error = State::open(&path).unwrap_err();
    assert!(matches!(error, Error::Backup(BackupError::Damaged { .. })), "{error:?}");
    let raw = Connection::open(&path).unwrap();
    let version: i64 = raw.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 1);
    assert!(copies(folder.path()).is_empty());
}
