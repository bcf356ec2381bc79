//! Opens connections to the state database. Opening fails if the connection could not write, if the
//! database is damaged, or if a new database would hide the loss of an earlier one.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};

use super::error::{Damage, Error, Result};
use crate::sys::sqlite;

/// The maximum wait for a write of another process, for example of a sysadmin's command.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens the database at `path` for reading and writing.
pub fn connect(path: &Path) -> Result<Connection> {
    let opened = |source| detect_damage(Error::Open { path: path.to_owned(), source }, path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(opened)?;
    sqlite::distrust(&connection).map_err(opened)?;
    // If SQLite cannot open a file for writing, SQLite opens the file for reading and returns no
    // error.
    if connection.is_readonly(MAIN_DB).map_err(opened)? {
        return Err(Error::ReadOnly { path: path.to_owned() });
    }
    connection.busy_timeout(BUSY_TIMEOUT).map_err(opened)?;
    let version: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(opened)?;
    if version == 0
        && let Some(witness) = find_data(path)
    {
        return Err(Error::Lost { path: path.to_owned(), witness });
    }
    use_wal(&connection).map_err(opened)?;
    connection.pragma_update(None, "synchronous", "full").map_err(opened)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(opened)?;
    // With this setting a savepoint's journal stays in memory. By default SQLite writes a journal
    // of more than 64 KiB to a new file, and all other writers wait. The journal is as large as the
    // changes of one writer.
    connection.pragma_update(None, "temp_store", "memory").map_err(opened)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Sets WAL mode. On a new database SQLite can do so only while no other connection is open. SQLite
/// itself does not wait for other connections, because that could be a deadlock. This function
/// waits, because several first commands can start at the same time on a new host.
fn use_wal(connection: &Connection) -> rusqlite::Result<()> {
    let begun = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && begun.elapsed() < BUSY_TIMEOUT =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
}

/// Returns true if the connection can never write again. After a disk failure SQLite opens the
/// write-ahead log only for reading and returns no error. A new connection may be able to write.
pub fn is_stuck(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::ReadOnly)
}

/// Converts `error` to [`Error::Damaged`] if the error is due to damage of the database at `path`.
pub fn detect_damage(error: Error, path: &Path) -> Error {
    match error {
        Error::Open { source, .. } | Error::Sql(source) if is_damage(&source) => {
            Error::Damaged { path: path.to_owned(), source: source.into() }
        }
        error => error,
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    let damage = [ErrorCode::NotADatabase, ErrorCode::DatabaseCorrupt];
    error.sqlite_error_code().is_some_and(|code| damage.contains(&code))
}

/// Reads the whole database. Returns an error if SQLite finds damage.
pub fn check(connection: &Connection, path: &Path) -> Result<()> {
    let found: rusqlite::Result<String> =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    match found {
        Ok(found) if found == "ok" => Ok(()),
        Ok(found) => {
            let source = Damage::Found(found.trim().to_owned());
            Err(Error::Damaged { path: path.to_owned(), source })
        }
        Err(error) => Err(detect_damage(error.into(), path)),
    }
}

/// Searches for data of accounts beside a missing or empty database. Such data proves that a state
/// database existed. A new database would number imports from 1 again, but the store already has
/// imports with these numbers. Returns the path of the data.
fn find_data(path: &Path) -> Option<PathBuf> {
    let data = path.parent()?.join("data");
    let mut accounts = std::fs::read_dir(&data).ok()?;
    accounts.next().is_some().then_some(data)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::state::State;

    /// Without this setting, each writer would create a file while other writers wait.
    #[test]
    fn savepoint_journals_are_kept_in_memory() {
        let (_folder, path) = opened();
        let connection = connect(&path).unwrap();
        let store: i64 =
            connection.pragma_query_value(None, "temp_store", |row| row.get(0)).unwrap();
        assert_eq!(store, 2, "memory: sqlite.org/pragma.html");
    }

    fn opened() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        drop(State::open(&path).unwrap());
        (folder, path)
    }

    #[test]
    fn a_damaged_database_is_reported_and_unchanged() {
        type Break = fn(Vec<u8>) -> Vec<u8>;
        let breaks: [Break; 4] = [
            |_| b"not a database, but long enough to be taken for one".repeat(20),
            |bytes| bytes[..bytes.len() / 2].to_vec(),
            |mut bytes| {
                bytes[4096 * 2..4096 * 3].fill(0xff);
                bytes
            },
            |mut bytes| {
                bytes[..100].fill(0);
                bytes
            },
        ];
        for (n, broken) in breaks.iter().enumerate() {
            let (_folder, path) = opened();
            let bytes = broken(fs::read(&path).unwrap());
            fs::write(&path, &bytes).unwrap();
            let error = State::open(&path).and_then(|state| state.check()).unwrap_err();
            assert!(matches!(error, Error::Damaged { .. }), "{n}: {error:?}");
            assert!(error.to_string().contains(".recover"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), bytes, "{n}: a damaged file must not change");
        }
        let (_folder, path) = opened();
        State::open(&path).unwrap().check().unwrap();
    }

    #[test]
    fn a_lost_database_is_not_replaced() {
        let (folder, path) = opened();
        let witness = folder.path().join("data/ACME-1");
        fs::create_dir_all(&witness).unwrap();
        State::open(&path).unwrap();
        fs::write(&path, "").unwrap();
        let error = State::open(&path).unwrap_err();
        assert!(matches!(error, Error::Lost { .. }), "{error:?}");
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        fs::remove_file(&path).unwrap();
        assert!(matches!(State::open(&path), Err(Error::Lost { .. })));
        fs::remove_dir(&witness).unwrap();
        State::open(&path).unwrap();
    }

    #[test]
    fn a_read_only_connection_is_replaced() {
        let (_folder, path) = opened();
        let state = State::open(&path).unwrap();
        let read_only = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        state.writers.become_stuck(Connection::open_with_flags(&path, read_only).unwrap());
        state.write(|tx| Ok::<_, Error>(tx.execute_batch("CREATE TABLE t (x)")?)).unwrap();
    }

    #[test]
    fn data_version_changes_when_the_connection_is_replaced() {
        let (_folder, path) = opened();
        let state = State::open(&path).unwrap();
        let known = state.data_version().unwrap();
        let other = State::open(&path).unwrap();
        other.write(|tx| Ok::<_, Error>(tx.execute_batch("CREATE TABLE t (x)")?)).unwrap();
        let read_only = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        state.writers.become_stuck(Connection::open_with_flags(&path, read_only).unwrap());
        state.write(|tx| Ok::<_, Error>(tx.execute_batch("CREATE TABLE u (x)")?)).unwrap();
        assert_ne!(state.data_version().unwrap(), known);
    }
}
