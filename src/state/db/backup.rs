//! Makes complete copies of the state database. A copy is one file without a write-ahead log. The
//! copy is checked and synced before the file gets its name. An existing file is never overwritten.
//!
//! SQLite's backup API copies one consistent state even if other processes write
//! (sqlite.org/backup.html).

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::connection::BUSY_TIMEOUT;
use super::error::BackupError;
use super::schema;
use crate::files::IoError;
use crate::files::durable::{TempFile, parent};
use crate::files::owner::Owner;
use crate::sys::sqlite;

/// The tables that every schema has. A database without these tables is not a state database.
const TABLES: &str = "'account', 'key', 'import', 'manifest_name', 'milestone', 'delivery'";

/// The size and the schema of a finished database copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupInfo {
    pub bytes: u64,
    pub schema: i64,
}

/// Copies the state database `database` to the new file `to`. Other processes may write to
/// `database` during the copy. Only the user of this process can read the copy. `add` may write
/// further rows into the copy before the file gets its name.
pub fn backup<E: From<BackupError>>(
    database: &Path,
    to: &Path,
    add: impl FnOnce(&Connection) -> Result<(), E>,
) -> Result<BackupInfo, E> {
    let source = {
        let _rights = Owner::assume_of(parent(database)).map_err(BackupError::from)?;
        open_to_copy(database)?
    };
    copy(&source, to, add)
}

/// Opens an existing database and begins to read it. SQLite has then opened all files of the
/// database. Therefore the copy can be written with other file rights.
pub fn open_to_copy(path: &Path) -> Result<Connection, BackupError> {
    let connection = open(path)?;
    // The pragma reads from the database, and thus begins the read transaction.
    connection.execute_batch("BEGIN; PRAGMA user_version").map_err(refused("read", path))?;
    Ok(connection)
}

/// Copies the database `source` to the new file `to`. `amend` may change the copy before the file
/// gets its name.
pub fn copy<E: From<BackupError>>(
    source: &Connection,
    to: &Path,
    amend: impl FnOnce(&Connection) -> Result<(), E>,
) -> Result<BackupInfo, E> {
    if to.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(to.to_owned()).into());
    }
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let temporary = to.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let new = TempFile::create(temporary).map_err(BackupError::from)?;
    let schema = fill(source, new.path(), amend)?;
    let read_size =
        || fs::metadata(new.path()).map_err(IoError::of("read the size of the file", to));
    let bytes = read_size().map_err(BackupError::from)?.len();
    match new.publish_new(to).map_err(BackupError::from)? {
        true => Ok(BackupInfo { bytes, schema }),
        false => Err(BackupError::Exists(to.to_owned()).into()),
    }
}

/// Checks that the database at `path` could replace the present state database. Returns the schema
/// of the database at `path`.
pub fn check(path: &Path) -> Result<i64, BackupError> {
    check_open(&open(path)?, path)
}

/// Opens an existing database for reading. Opens it for writing if possible, because SQLite can
/// read a database in WAL mode only if it can write the `-wal` and `-shm` files.
pub fn open(path: &Path) -> Result<Connection, BackupError> {
    fs::metadata(path).map_err(IoError::of("open", path))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .or_else(|_| Connection::open_with_flags(path, read_only))
        .map_err(refused("open", path))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(refused("open", path))?;
    sqlite::distrust(&connection).map_err(refused("open", path))?;
    Ok(connection)
}

/// Copies all pages of the database in one step, so that the copy is one state of the source. Then
/// checks the copy.
fn fill<E: From<BackupError>>(
    source: &Connection,
    path: &Path,
    amend: impl FnOnce(&Connection) -> Result<(), E>,
) -> Result<i64, E> {
    let failed = |source| BackupError::Sql { operation: "write", path: path.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut target = Connection::open_with_flags(path, flags).map_err(failed)?;
    sqlite::distrust(&target).map_err(failed)?; // the copy has the schema of the source
    // The caller syncs the complete copy. Before that, no sync is needed.
    target.pragma_update(None, "synchronous", "off").map_err(failed)?;
    let backup = Backup::new(source, &mut target).map_err(failed)?;
    let begun = Instant::now();
    loop {
        match backup.step(-1).map_err(failed)? {
            StepResult::Done => break,
            _ if begun.elapsed() > BUSY_TIMEOUT => {
                return Err(BackupError::InUse(path.to_owned()).into());
            }
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    drop(backup);
    // A reader without write access to the folder cannot open a database in WAL mode.
    target.pragma_update(None, "journal_mode", "delete").map_err(failed)?;
    amend(&target)?;
    let schema = check_open(&target, path)?;
    target.close().map_err(|(_, error)| failed(error))?;
    Ok(schema)
}

fn check_open(connection: &Connection, path: &Path) -> Result<i64, BackupError> {
    let failed = |source: rusqlite::Error| match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
            BackupError::Damaged { path: path.to_owned(), problem: source.to_string() }
        }
        _ => BackupError::Sql { operation: "check", path: path.to_owned(), source },
    };
    let problem: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if problem != "ok" {
        return Err(BackupError::Damaged { path: path.to_owned(), problem });
    }
    let known_tables: i64 = connection
        .query_row(
            &format!(
                "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ({TABLES})"
            ),
            [],
            |row| row.get(0),
        )
        .map_err(failed)?;
    let found: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    if known_tables != TABLES.split(',').count() as i64 || found < 1 {
        return Err(BackupError::NotStateDatabase(path.to_owned()));
    }
    let known = schema::newest();
    if found > known {
        return Err(BackupError::Newer { path: path.to_owned(), found, known });
    }
    Ok(found)
}

/// Returns a function for `map_err`. The function adds the operation and the path to an SQLite
/// error.
pub fn refused(operation: &'static str, path: &Path) -> impl Fn(rusqlite::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Sql { operation, path: path.clone(), source }
}

#[cfg(test)]
mod tests;
