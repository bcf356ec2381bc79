//! Health checks of the whole state database. The checks only read. They create nothing and apply
//! no migration.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};

use super::db::connection::BUSY_TIMEOUT;
use super::db::schema;
use super::db::transaction::optional_time;
use super::{Error, Result, Transaction, millis};
use crate::files::durable::parent;
use crate::files::owner::Owner;
use crate::sys::sqlite;

/// The schema and the damage of a database file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseHealth {
    pub schema: i64,
    /// The newest database schema that this program can read.
    pub known: i64,
    /// The problems that SQLite's quick check found in the database.
    pub problems: Vec<String>,
}

/// Opens the database `path` for reading and runs SQLite's quick check
/// (sqlite.org/pragma.html#pragma_quick_check). The check takes one second for several hundred MB.
pub fn examine(path: &Path) -> Result<DatabaseHealth> {
    let _rights = Owner::assume_of(parent(path))?;
    let opened = |source| Error::Open { path: path.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(opened)?;
    sqlite::distrust(&connection).map_err(opened)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(opened)?;
    let schema = connection.pragma_query_value(None, "user_version", |row| row.get(0));
    let schema = schema.map_err(opened)?;
    let mut problems = Vec::new();
    connection
        .pragma_query(None, "quick_check", |row| {
            problems.push(row.get::<_, String>(0)?);
            Ok(())
        })
        .map_err(opened)?;
    problems.retain(|problem| problem != "ok");
    Ok(DatabaseHealth { schema, known: schema::newest(), problems })
}

/// The numbers of imports and deliveries that wait or have failed. The command `doctor` uses them
/// to find work that makes no progress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// The number of imports that have not ended.
    pub imports: u32,
    /// The time at which the pair of the oldest unfinished import was ready.
    pub oldest_import: Option<Timestamp>,
    /// The number of pending deliveries that were attempted at least once.
    pub retried: u32,
    /// The time of the oldest milestone with a pending delivery that was attempted at least once.
    pub oldest_retried: Option<Timestamp>,
    /// The number of deliveries that failed in the given period and are not attempted again.
    pub given_up: u32,
    /// The time of the newest line in the activity log.
    pub newest_activity: Option<Timestamp>,
}

/// Counts the waiting imports and deliveries, and the deliveries that failed since the time
/// `since`.
pub fn read_backlog(tx: &Transaction<'_>, since: Timestamp) -> Result<Backlog> {
    let pair =
        |sql: &str, parameters: &[&dyn rusqlite::ToSql]| -> Result<(u32, Option<Timestamp>)> {
            let found =
                tx.select_first(sql, parameters, |row| Ok((row.get(0)?, optional_time(row, 1)?)))?;
            Ok(found.unwrap_or_default())
        };
    let (imports, oldest_import) = pair(
        "SELECT count(*), min(received_at) FROM import
         WHERE state IN ('claiming', 'queued', 'running')",
        &[],
    )?;
    let (retried, oldest_retried) = pair(
        "SELECT count(*), min(m.at) FROM delivery d JOIN milestone m ON m.id = d.milestone
         WHERE d.state = 'pending' AND d.attempts > 0",
        &[],
    )?;
    let (given_up, _) = pair(
        "SELECT count(*), NULL FROM delivery WHERE state = 'failed' AND finished_at >= ?1",
        &[&millis(since)],
    )?;
    let (_, newest_activity) =
        pair("SELECT 0, (SELECT at FROM activity ORDER BY id DESC LIMIT 1)", &[])?;
    Ok(Backlog { imports, oldest_import, retried, oldest_retried, given_up, newest_activity })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{State, timestamp};

    #[test]
    fn a_damaged_or_missing_database_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        assert!(examine(&path).is_err());
        assert!(!path.exists());
        drop(State::open(&path).unwrap());
        let health = examine(&path).unwrap();
        assert_eq!((health.schema, health.problems.len()), (health.known, 0));
        std::fs::write(&path, "not a database, but long enough to be taken for one").unwrap();
        assert!(examine(&path).is_err());
    }

    #[test]
    fn an_empty_database_has_no_backlog() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).unwrap();
        let found = state.read(|tx| read_backlog(tx, Timestamp::UNIX_EPOCH)).unwrap();
        assert_eq!(found, Backlog::default());
    }

    #[test]
    fn waiting_and_failed_work_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).unwrap();
        let found = state
            .write(|tx| {
                tx.execute_batch(
                    "INSERT INTO import (id, account, manifest, state, claim, stem, received_at)
                     VALUES ('a-1', 'a', 'm', 'queued', '{}', 's', 5000);
                     INSERT INTO milestone (id, account, type, at, body)
                     VALUES ('m1', 'a', 't', 7000, '{}');
                     INSERT INTO delivery (milestone, channel, destination, lane, attempts, next_attempt_at)
                     VALUES ('m1', 'email', 'x', 'l', 2, 9000), ('m1', 'email', 'y', 'l', 0, 9000);
                     INSERT INTO delivery (milestone, channel, destination, lane, state, finished_at)
                     VALUES ('m1', 'email', 'z', 'l', 'failed', 8000), ('m1', 'email', 'w', 'l', 'failed', 1);
                     INSERT INTO activity (at, action) VALUES (6000, 'x')",
                )?;
                read_backlog(tx, timestamp(8000)?)
            })
            .unwrap();
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        assert_eq!((found.imports, found.oldest_import), (1, at(5)));
        assert_eq!((found.retried, found.oldest_retried), (1, at(7)));
        assert_eq!((found.given_up, found.newest_activity), (1, at(6)));
    }
}
