//! Restore: replaces the state database by a copy, and keeps the replaced one beside it.
//!
//! Invariant: at any time a complete state database has its name; a crash leaves at most an unused
//! copy. The caller holds [`InstanceLock`](super::instance_lock::InstanceLock). Every step but the
//! opening of the copy has the file rights of the folder's owner.

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

/// How long to wait for commands that are about to end and have the database open.
const PATIENCE: Duration = Duration::from_secs(2);

/// The outcome of [`replace`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreOutcome {
    /// The present path of the replaced database; `None` if there was none.
    pub replaced: Option<PathBuf>,
    /// The schema of the copy.
    pub schema: i64,
    pub previous: PreviousDatabase,
}

/// What could be read from a replaced state database, which may be damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreviousDatabase {
    /// The running number of its last import.
    pub last_import: Option<i64>,
}

/// Opens a copy that can replace `database`, and returns it with its schema.
pub fn open_backup(database: &Path, from: &Path) -> Result<(Connection, i64), BackupError> {
    let folder = parent(database);
    let failed = || IoError::of("act as the owner of", folder);
    let owner = Owner::of(folder).map_err(failed())?;
    // A copy from before an upgrade is in the owner's folder, where a link could lead to a file
    // that only root can read.
    let is_owners = Owner::of(parent(from)).is_ok_and(|other| other == owner);
    let _rights = is_owners.then(|| owner.assume()).transpose().map_err(failed())?;
    let schema = backup::check(from)?;
    Ok((backup::open_to_copy(from)?, schema))
}

/// Replaces `database`, which may be damaged, by a copy of `from` that `amend` has changed. On an
/// error `database` is unchanged.
pub fn replace(
    database: &Path,
    from: &Path,
    now: Timestamp,
    amend: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Result<RestoreOutcome, BackupError> {
    let (source, schema) = open_backup(database, from)?;
    let _rights = Owner::assume_of(parent(database))?;
    let new = with_suffix(database, ".restoring");
    remove_file(&new)?; // a crash may have left one
    let amend = |copy: &Connection| amend(copy).map_err(refused("write", &new));
    backup::copy(&source, &new, amend)?;
    drop(source);
    let (locked, previous) = lock(database)?;
    if let Some(last) = previous.last_import {
        // Before the rename, so that a crash can't lead to a number that is used twice.
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

/// Makes the running number of the next import higher than `n` and than all existing ones.
pub fn continue_numbering_after(database: &Connection, n: i64) -> rusqlite::Result<()> {
    // The row exists only after the first import: sqlite.org/autoinc.html.
    database.execute(
        "INSERT INTO sqlite_sequence (name, seq)
         SELECT 'import', 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'import')",
        [],
    )?;
    database.execute("UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'import'", [n])?;
    Ok(())
}

/// Locks the present database in the form of one file, so that no command writes to it when it is
/// replaced, and reads its last import number. A damaged one can't be locked.
fn lock(database: &Path) -> Result<(Option<Connection>, PreviousDatabase), BackupError> {
    if !database.exists() {
        return Ok((None, PreviousDatabase::default()));
    }
    let lock = || {
        let connection = backup::open(database).map_err(|_| rusqlite::Error::InvalidQuery)?;
        connection.busy_timeout(PATIENCE)?;
        // Leaving WAL mode works only while no other connection is open.
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

/// Reads the last import number of `database`, which may have an older schema or be damaged.
fn read_previous(database: &Connection) -> PreviousDatabase {
    let last = "SELECT seq FROM sqlite_sequence WHERE name = 'import'";
    PreviousDatabase { last_import: database.query_row(last, [], |row| row.get(0)).ok() }
}

/// Gives the present database a second name. Renames the files beside a damaged one as well,
/// because SQLite would apply them to the new database.
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
    fs::hard_link(database, &kept).map_err(IoError::of("keep the present database as", &kept))?;
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
