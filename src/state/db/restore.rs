//! Restore: replaces the state database by a copy, and keeps the replaced one beside it.
//!
//! Invariant: at any time a complete state database has its name; a crash leaves at most an unused
//! copy. The caller holds [`super::Alone`]. Every step but the opening of the copy has the file
//! rights of the folder's owner.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode};

use super::backup;
use super::backup::CopyError;
use crate::files::owner::Owner;
use crate::state::{Transaction, imports};

/// How long to wait for commands that are about to end and have the database open.
const PATIENCE: Duration = Duration::from_secs(2);

/// The outcome of [`replace`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// The present path of the replaced database; `None` if there was none.
    pub kept: Option<PathBuf>,
    /// The schema of the copy.
    pub schema: i64,
    pub before: Before,
}

/// What could be read from a replaced state database, which may be damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// The running number of its last import.
    pub last_import: Option<i64>,
}

/// Opens a copy that can replace `database`, and returns it with its schema.
pub fn open_backup(database: &Path, from: &Path) -> Result<(Connection, i64), CopyError> {
    let folder = backup::folder_of(database);
    let failed = || backup::failed("act as the owner of", folder);
    let owner = Owner::of(folder).map_err(failed())?;
    // A copy from before an upgrade is in the owner's folder, where a link could lead to a file
    // that only root can read.
    let is_owners = Owner::of(backup::folder_of(from)).is_ok_and(|other| other == owner);
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
) -> Result<Replaced, CopyError> {
    let folder = backup::folder_of(database);
    let failed = || backup::failed("act as the owner of", folder);
    let owner = Owner::of(folder).map_err(failed())?;
    let (source, schema) = open_backup(database, from)?;
    let _rights = owner.assume().map_err(failed())?;
    let new = with_ending(database, "restoring");
    remove(&new)?; // a crash may have left one
    let amend = |copy: &Connection| amend(copy).map_err(backup::refused("write", &new));
    backup::copy(&source, &new, amend)?;
    drop(source);
    let (held, before) = hold(database)?;
    if let Some(last) = before.last_import {
        number_after(&new, last)?;
    }
    let kept = keep(database, held.is_none(), now)?;
    fs::rename(&new, database).map_err(backup::failed("replace", database))?;
    backup::sync_folder(database)?;
    Ok(Replaced { kept, schema, before })
}

/// Makes the numbers of imports in the database `new` continue after `last`. This precedes the
/// rename, so that a crash can't lead to a number that is used twice.
fn number_after(new: &Path, last: i64) -> Result<(), CopyError> {
    let refused = backup::refused("write", new);
    let mut connection = backup::open(new)?;
    let tx = connection.transaction().map_err(&refused)?;
    imports::continue_after(&Transaction { connection: &tx, actor: None }, last)
        .map_err(&refused)?;
    tx.commit().map_err(&refused)
}

/// Locks the present database in the form of one file, so that no command writes to it when it is
/// replaced, and reads what is kept of it. A damaged one can't be locked.
fn hold(database: &Path) -> Result<(Option<Connection>, Before), CopyError> {
    if !database.exists() {
        return Ok((None, Before::default()));
    }
    let alone = || {
        let connection = backup::open(database).map_err(|_| rusqlite::Error::InvalidQuery)?;
        connection.busy_timeout(PATIENCE)?;
        // Leaving WAL mode works only while no other connection is open.
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "delete", |row| row.get(0))?;
        connection.execute_batch("BEGIN EXCLUSIVE")?;
        let before = known(&connection);
        Ok::<_, rusqlite::Error>((mode, connection, before))
    };
    match alone() {
        Ok((mode, connection, before)) if mode == "delete" => Ok((Some(connection), before)),
        Ok(_) => Err(CopyError::InUse(database.to_owned())),
        Err(error)
            if matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
            ) =>
        {
            Err(CopyError::InUse(database.to_owned()))
        }
        Err(_) => Ok((None, Before::default())),
    }
}

/// Reads what is kept of `database`, which may have an older schema or be damaged.
fn known(database: &Connection) -> Before {
    let last = "SELECT seq FROM sqlite_sequence WHERE name = 'import'";
    Before { last_import: database.query_row(last, [], |row| row.get(0)).ok() }
}

/// Gives the present database a second name. Renames the files beside a damaged one as well,
/// because SQLite would apply them to the new database.
fn keep(database: &Path, damaged: bool, now: Timestamp) -> Result<Option<PathBuf>, CopyError> {
    if !database.exists() {
        return Ok(None);
    }
    let kept = with_ending(database, &format!("replaced-{}", now.strftime("%Y%m%dT%H%M%S.%3fZ")));
    fs::hard_link(database, &kept)
        .map_err(backup::failed("keep the present database as", &kept))?;
    for beside in ["-wal", "-shm"].into_iter().filter(|_| damaged) {
        let (from, to) = (appended(database, beside), appended(&kept, beside));
        match fs::rename(&from, &to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(backup::failed("rename", &from)(error));
            }
            _ => {}
        }
    }
    Ok(Some(kept))
}

/// Appends `.ending` to the file name.
pub fn with_ending(database: &Path, ending: &str) -> PathBuf {
    appended(database, &format!(".{ending}"))
}

fn appended(path: &Path, text: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(text);
    path.with_file_name(name)
}

fn remove(path: &Path) -> Result<(), CopyError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(backup::failed("remove", path)(error))
        }
        _ => Ok(()),
    }
}
