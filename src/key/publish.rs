//! Publishing: `published/keys.db` is replaced whole by what the registry says.
//!
//! The new file is built beside the old one, flushed, and renamed over it; a helper sees the one
//! or the other, never half. Publishers take turns, and each reads the registry after its
//! turn has come: the last one to finish has seen every change that was committed before.
//!
//! Root publishes into a folder that the sidecar's user owns, so nothing here follows a link that
//! somebody could have put in place of a file.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::{
    DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, fchown,
};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::libc::O_NOFOLLOW;
use nix::unistd::Group;
use rusqlite::{Connection, OpenFlags, params};

use crate::authorized_keys::lookup::SCHEMA;
use crate::config::Config;
use crate::registry::keys::{Publishable, each_usable};
use crate::registry::{self, Registry};

/// The group that sshd runs the helper with.
const GROUP: &str = "_sftp-import-keys";

/// The keys could not be published; what was published before still holds.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A file or folder of the published keys.
    #[error("cannot {what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The new database couldn't be written.
    #[error("cannot write the published keys")]
    Write(#[source] rusqlite::Error),
    /// What is published couldn't be read.
    #[error("cannot read the published keys")]
    Read(#[source] rusqlite::Error),
    /// The registry couldn't be read.
    #[error(transparent)]
    Registry(#[from] registry::Error),
}

fn failed<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> PublishError + 'a {
    move |source| PublishError::File { what, path: path.to_owned(), source }
}

/// Publishes every key that may be used at `now`, and returns how many those are. On return the
/// change is in force, and on disk.
///
/// # Errors
/// Reading the registry, or writing beside what is published.
pub fn publish(registry: &Registry, config: &Config, now: Timestamp) -> Result<u64, PublishError> {
    let database = &config.paths.keys_db();
    let folder = database.parent().unwrap_or(Path::new("/"));
    make_folder(folder)?;
    // The way there may hold links that the sysadmin made; SQLite is to follow none from here on.
    let folder = &fs::canonicalize(folder).map_err(failed("look at", folder))?;
    let _turn = take_turn(&folder.join(".lock"))?;
    let new = folder.join(".keys.db.new");
    make_empty(&new, folder)?;
    let count = write(registry, &new, now, &config.accounts.uids())?;
    File::open(&new).and_then(|file| file.sync_all()).map_err(failed("flush", &new))?;
    fs::rename(&new, database).map_err(failed("replace", database))?;
    File::open(folder).and_then(|file| file.sync_all()).map_err(failed("flush", folder))?;
    Ok(count)
}

/// Makes the folder when it is missing, for the helper's group if the host has that.
fn make_folder(folder: &Path) -> Result<(), PublishError> {
    match DirBuilder::new().mode(0o750).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made.map_err(failed("make", folder))?,
    }
    if let Some(group) = Group::from_name(GROUP)
        .map_err(io::Error::from)
        .map_err(failed("find the group of", folder))?
    {
        chown(folder, None, Some(group.gid.as_raw())).map_err(failed("give its group", folder))?;
    }
    fs::set_permissions(folder, Permissions::from_mode(0o750)).map_err(failed("protect", folder))
}

/// Waits until no one else publishes. The lock goes with the returned file, a crash included, and
/// only root can open it: the helper's user can't hold up a revoke.
fn take_turn(path: &Path) -> Result<File, PublishError> {
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags(O_NOFOLLOW)
        .open(path)
        .map_err(failed("open", path))?;
    lock.lock().map_err(failed("lock", path))?;
    Ok(lock)
}

/// An empty file at `path`, readable by the folder's group, in place of what a crash left.
fn make_empty(path: &Path, folder: &Path) -> Result<(), PublishError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove", path)(error));
        }
        _ => {}
    }
    let file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(failed("create", path))?;
    let group = fs::metadata(folder).map_err(failed("look at", folder))?.gid();
    fchown(&file, None, Some(group)).map_err(failed("give its group", path))?;
    file.set_permissions(Permissions::from_mode(0o640)).map_err(failed("protect", path))
}

/// Fills the empty file at `path`. Without a journal: a crash leaves a file nobody reads.
fn write(
    registry: &Registry,
    path: &Path,
    now: Timestamp,
    uids: &RangeInclusive<u32>,
) -> Result<u64, PublishError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(path, flags).map_err(PublishError::Write)?;
    for (pragma, value) in
        [("journal_mode", "off"), ("synchronous", "off"), ("locking_mode", "exclusive")]
    {
        connection.pragma_update(None, pragma, value).map_err(PublishError::Write)?;
    }
    let transaction = connection.transaction().map_err(PublishError::Write)?;
    transaction.execute_batch(SCHEMA).map_err(PublishError::Write)?;
    let mut insert = transaction
        .prepare("INSERT INTO key VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
        .map_err(PublishError::Write)?;
    let take = |key: Publishable<'_>| {
        let Publishable { account, fingerprint, algorithm, public_key, from, expires_at } = key;
        insert
            .execute(params![account, fingerprint, algorithm, public_key, from, expires_at])
            .map(|_| ())
            .map_err(PublishError::Write)
    };
    let count = registry.read(|tx| each_usable(tx, now, uids, take))?;
    drop(insert);
    transaction.commit().map_err(PublishError::Write)?;
    connection.close().map_err(|(_, error)| PublishError::Write(error))?;
    Ok(count)
}
