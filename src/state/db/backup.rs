//! Complete copies of the state database. A copy is one file without a write-ahead log. It is
//! checked and synced before it gets its name, and never overwrites another file.
//!
//! SQLite's backup API copies one consistent state while others write (sqlite.org/backup.html).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::files::owner::Owner;
use crate::state::BUSY_TIMEOUT;
use crate::sys::sqlite;

/// Tables that every schema has. A database without them is not a state database.
const TABLES: &str = "'account', 'key', 'import', 'manifest_name', 'milestone', 'delivery'";

/// Why the state database can't be copied or restored.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("{} exists already, and is not overwritten", .0.display())]
    Exists(PathBuf),
    #[error("cannot {operation} {}", path.display())]
    Io { operation: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot {operation} {}", path.display())]
    Sql { operation: &'static str, path: PathBuf, source: rusqlite::Error },
    #[error("{} is damaged: {problem}", path.display())]
    Damaged {
        path: PathBuf,
        /// The first problem that SQLite found.
        problem: String,
    },
    #[error("{} is not a state database of sftp-import", .0.display())]
    NotOurs(PathBuf),
    /// A newer version of this program wrote it.
    #[error(
        "{} has schema {found}, this program knows up to {known}; restore it with the version \
         that wrote it", path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("another process has {} open", .0.display())]
    InUse(PathBuf),
}

/// The size and schema of a finished copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    pub bytes: u64,
    pub schema: i64,
}

/// Copies the state database `database`, which other processes may be writing, to the new file
/// `to`, which only this process's user can read. `add` may write more into the copy before it gets
/// its name.
pub fn backup<E: From<CopyError>>(
    database: &Path,
    to: &Path,
    add: impl FnOnce(&Connection) -> Result<(), E>,
) -> Result<Copied, E> {
    let source = {
        let folder = folder_of(database);
        let rights = Owner::of(folder).and_then(Owner::assume);
        let _rights = rights.map_err(failed("act as the owner of", folder))?;
        open_to_copy(database)?
    };
    copy(&source, to, add)
}

/// Opens an existing database and begins to read it, so that SQLite has all its files open. The
/// copy can therefore be written with other file rights than those used here.
pub fn open_to_copy(path: &Path) -> Result<Connection, CopyError> {
    let connection = open(path)?;
    // The pragma reads, which begins the read transaction.
    connection.execute_batch("BEGIN; PRAGMA user_version").map_err(refused("read", path))?;
    Ok(connection)
}

/// Copies `source` to the new file `to`. `amend` can change the copy before it gets its name.
pub fn copy<E: From<CopyError>>(
    source: &Connection,
    to: &Path,
    amend: impl FnOnce(&Connection) -> Result<(), E>,
) -> Result<Copied, E> {
    if to.symlink_metadata().is_ok() {
        return Err(CopyError::Exists(to.to_owned()).into());
    }
    let unfinished = Unfinished::create(to)?;
    let schema = fill(source, &unfinished.path, amend)?;
    unfinished.file.sync_all().map_err(failed("sync", to))?;
    let bytes = unfinished.file.metadata().map_err(failed("read the metadata of", to))?.len();
    unfinished.take_name(to)?;
    Ok(Copied { bytes, schema })
}

/// Checks that a database could replace the present one, and returns its schema.
pub fn check(path: &Path) -> Result<i64, CopyError> {
    check_open(&open(path)?, path)
}

/// Opens an existing database for reading. It is opened for writing where that is possible, because
/// SQLite reads a database in WAL mode only if it can write the files beside it.
pub fn open(path: &Path) -> Result<Connection, CopyError> {
    fs::metadata(path).map_err(failed("open", path))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .or_else(|_| Connection::open_with_flags(path, read_only))
        .map_err(refused("open", path))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(refused("open", path))?;
    sqlite::distrust(&connection).map_err(refused("open", path))?;
    Ok(connection)
}

/// Copies all pages in one step, so that the copy is one state of the source, and checks the copy.
fn fill<E: From<CopyError>>(
    source: &Connection,
    path: &Path,
    amend: impl FnOnce(&Connection) -> Result<(), E>,
) -> Result<i64, E> {
    let failed = |source| CopyError::Sql { operation: "write", path: path.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut target = Connection::open_with_flags(path, flags).map_err(failed)?;
    sqlite::distrust(&target).map_err(failed)?; // its schema will be the source's
    // The complete copy is synced once, by the caller.
    target.pragma_update(None, "synchronous", "off").map_err(failed)?;
    let backup = Backup::new(source, &mut target).map_err(failed)?;
    let begun = Instant::now();
    loop {
        match backup.step(-1).map_err(failed)? {
            StepResult::Done => break,
            _ if begun.elapsed() > BUSY_TIMEOUT => {
                return Err(CopyError::InUse(path.to_owned()).into());
            }
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    drop(backup);
    // A database in WAL mode can't be opened in a folder that the reader can't write to.
    target.pragma_update(None, "journal_mode", "delete").map_err(failed)?;
    amend(&target)?;
    let schema = check_open(&target, path)?;
    target.close().map_err(|(_, error)| failed(error))?;
    Ok(schema)
}

fn check_open(connection: &Connection, path: &Path) -> Result<i64, CopyError> {
    let failed = |source: rusqlite::Error| match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
            CopyError::Damaged { path: path.to_owned(), problem: source.to_string() }
        }
        _ => CopyError::Sql { operation: "check", path: path.to_owned(), source },
    };
    let problem: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if problem != "ok" {
        return Err(CopyError::Damaged { path: path.to_owned(), problem });
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
        return Err(CopyError::NotOurs(path.to_owned()));
    }
    let known = super::migrations::known();
    if found > known {
        return Err(CopyError::Newer { path: path.to_owned(), found, known });
    }
    Ok(found)
}

/// A copy under a temporary name; removed when dropped before it gets its own name.
struct Unfinished {
    file: File,
    path: PathBuf,
}

impl Unfinished {
    fn create(to: &Path) -> Result<Self, CopyError> {
        let name = to.file_name().unwrap_or_default().to_string_lossy();
        let path = to.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        Ok(Self { file: file.map_err(failed("create", &path))?, path })
    }

    fn take_name(self, to: &Path) -> Result<(), CopyError> {
        let flags = RenameFlags::RENAME_NOREPLACE;
        match renameat2(AT_FDCWD, &self.path, AT_FDCWD, to, flags) {
            Err(Errno::EEXIST) => return Err(CopyError::Exists(to.to_owned())),
            // This file system has no RENAME_NOREPLACE. Between the check and the rename nothing
            // else is expected to create the file.
            Err(Errno::EINVAL) if to.symlink_metadata().is_err() => {
                fs::rename(&self.path, to).map_err(failed("rename to", to))?;
            }
            renamed => renamed.map_err(|errno| failed("rename to", to)(errno.into()))?,
        }
        sync_folder(to)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After the rename there is nothing to remove.
        let _ = fs::remove_file(&self.path);
    }
}

/// Syncs the folder of `path`, so that the names in it are durable.
pub fn sync_folder(path: &Path) -> Result<(), CopyError> {
    let folder = folder_of(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", folder))
}

/// Returns the folder that `path` is in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

pub fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CopyError {
    let path = path.to_owned();
    move |source| CopyError::Io { operation, path, source }
}

pub fn refused(operation: &'static str, path: &Path) -> impl Fn(rusqlite::Error) -> CopyError {
    let path = path.to_owned();
    move |source| CopyError::Sql { operation, path: path.clone(), source }
}

#[cfg(test)]
mod tests;
