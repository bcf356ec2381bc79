//! Restore: replaces the state database by a copy, and keeps the replaced database beside it.
//!
//! Invariant: at any time a complete state database has the name of the state database. A crash
//! leaves at most one unused copy. The caller holds an
//! [`InstanceLock`](super::instance_lock::InstanceLock). Every step has the file rights of the
//! folder's owner, except the opening of the copy.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode};

use super::backup::{self, refused};
use super::error::BackupError;
use crate::files::IoError;
use crate::files::durable::{parent, remove_file, rename, with_suffix};
use crate::files::owner::Owner;

/// The maximum wait for other commands that have the database open and are about to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// The result of [`replace`], which replaces the state database by a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreOutcome {
    /// The path to which the replaced database was renamed. `None` if no database was replaced.
    pub replaced: Option<PathBuf>,
    /// The number of the schema of the restored copy.
    pub schema: i64,
    pub previous: PreviousDatabase,
}

/// Facts from the state database that was replaced. They may be incomplete, because that database
/// may be damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreviousDatabase {
    /// The running number of the last import in the database that was replaced.
    pub last_import: Option<i64>,
}

/// Opens a copy of the state database that can replace `database`. Returns the connection and the
/// schema of the copy.
pub fn open_backup(database: &Path, from: &Path) -> Result<(Connection, i64), BackupError> {
    let folder = parent(database);
    let failed = || IoError::of("act as the owner of the folder", folder);
    let owner = Owner::of(folder).map_err(failed())?;
    // Copies from before an upgrade are stored in the owner's folder. A symbolic link in that
    // folder could point to a file that only root may read. Therefore such a copy is opened with
    // the rights of the owner.
    let is_owners = Owner::of(parent(from)).is_ok_and(|other| other == owner);
    let _rights = is_owners.then(|| owner.assume()).transpose().map_err(failed())?;
    let schema = backup::check(from)?;
    Ok((backup::open_to_copy(from)?, schema))
}

/// Replaces `database`, which may be damaged, by a copy of `from`. `amend` changes the copy before
/// the replacement. If an error occurs, `database` is unchanged.
pub fn replace(
    database: &Path,
    from: &Path,
    now: Timestamp,
    amend: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Result<RestoreOutcome, BackupError> {
    let (source, schema) = open_backup(database, from)?;
    let _rights = Owner::assume_of(parent(database))?;
    let new = with_suffix(database, ".restoring");
    remove_file(&new)?; // the file may remain from an earlier crash
    let amend = |copy: &Connection| amend(copy).map_err(refused("write", &new));
    backup::copy(&source, &new, amend)?;
    drop(source);
    let (locked, previous) = lock(database)?;
    if let Some(last) = previous.last_import {
        // The import number is set before the rename, so that even after a crash no import number
        // is used twice.
        let refused = refused("write", &new);
        let new = backup::open(&new)?;
        let tx = new.unchecked_transaction().map_err(&refused)?;
        continue_numbering_after(&tx, last).map_err(&refused)?;
        tx.commit().map_err(&refused)?;
    }
    let replaced = keep_previous(database, locked.is_none(), now)?;
    rename(&new, database)?;
    Ok(RestoreOutcome { replaced, schema, previous })
}

/// Ensures that the running number of the next import is higher than `n` and than the number of
/// every import in `database`.
pub fn continue_numbering_after(database: &Connection, n: i64) -> rusqlite::Result<()> {
    // SQLite creates this row with the first import (sqlite.org/autoinc.html).
    database.execute(
        "INSERT INTO sqlite_sequence (name, seq)
         SELECT 'import', 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'import')",
        [],
    )?;
    database.execute("UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'import'", [n])?;
    Ok(())
}

/// Locks the present database, so that no command writes to it during the replacement. Merges the
/// write-ahead log into the database file, and reads the last import number. A damaged database
/// can't be locked.
fn lock(database: &Path) -> Result<(Option<Connection>, PreviousDatabase), BackupError> {
    if !database.exists() {
        return Ok((None, PreviousDatabase::default()));
    }
    let lock = || {
        let connection = backup::open(database).map_err(|_| rusqlite::Error::InvalidQuery)?;
        connection.busy_timeout(PATIENCE)?;
        // SQLite can leave WAL mode only while no other connection is open.
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "delete", |row| row.get(0))?;
        connection.execute_batch("BEGIN EXCLUSIVE")?;
        let previous = read_previous(&connection);
        Ok::<_, rusqlite::Error>((mode, connection, previous))
    };
    match lock() {
        Ok((mode, connection, previous)) if mode == "delete" => Ok((Some(connection), previous)),
        Ok(_) => Err(BackupError::InUse(database.to_owned())),
        Err(error)
            if matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
            ) =>
        {
            Err(BackupError::InUse(database.to_owned()))
        }
        Err(_) => Ok((None, PreviousDatabase::default())),
    }
}

/// Reads the number of the last import in `database`, which may have an older schema or be
/// damaged.
fn read_previous(database: &Connection) -> PreviousDatabase {
    let last = "SELECT seq FROM sqlite_sequence WHERE name = 'import'";
    PreviousDatabase { last_import: database.query_row(last, [], |row| row.get(0)).ok() }
}

/// Gives the present database a second name. If the database is damaged, also renames the `-wal`
/// and `-shm` files beside it. SQLite would otherwise apply these files to the new database.
fn keep_previous(
    database: &Path,
    damaged: bool,
    now: Timestamp,
) -> Result<Option<PathBuf>, BackupError> {
    if !database.exists() {
        return Ok(None);
    }
    let time = now.strftime("%Y%m%dT%H%M%S.%3fZ");
    let kept = with_suffix(database, &format!(".replaced-{time}"));
    fs::hard_link(database, &kept)
        .map_err(IoError::of("keep the present database under the name", &kept))?;
    for suffix in ["-wal", "-shm"].into_iter().filter(|_| damaged) {
        let from = with_suffix(database, suffix);
        match fs::rename(&from, with_suffix(&kept, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(IoError::new("rename", from, error).into());
            }
            _ => {}
        }
    }
    Ok(Some(kept))
}
