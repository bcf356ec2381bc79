//! [`Registry`]: the database file. It is checked before it is opened, and gets its name when it is
//! complete.

use std::fs::{self, Metadata};
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::error::{Error, Result};
use crate::files::durable::{TempFile, remove_file};
use crate::files::{IoError, private};

/// How long to wait for another command that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const SCHEMA: &str = include_str!("schema.sql");

/// `PRAGMA user_version` of [`SCHEMA`].
pub(super) const VERSION: i64 = 1;

/// The open registry.
#[derive(Debug)]
pub struct Registry {
    pub(super) connection: Connection,
    actor: String,
}

/// A connection inside a transaction. The transaction is committed when its work returns `Ok`, and
/// rolled back when it returns an error.
#[derive(Debug)]
pub struct RegistryTransaction<'c> {
    connection: &'c Connection,
    /// The user who runs this command.
    pub(super) actor: &'c str,
}

impl Deref for RegistryTransaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Registry {
    /// Opens the registry in the folder `admin`. Changes are recorded as made by `actor`.
    pub fn open(admin: &Path, actor: &str) -> Result<Self> {
        let path = path(admin);
        check(admin, &path)?;
        let connection = connect(&path)?;
        let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found != VERSION {
            return Err(Error::Version { path, found, known: VERSION });
        }
        Ok(Self { connection, actor: actor.to_owned() })
    }

    /// Creates the registry in the folder `admin`, with the rows that `fill` writes, and opens it.
    ///
    /// It gets its name when it is complete and on disk; on an error there is none. If another
    /// command has created one in that time, that one is opened and the rows of `fill` are dropped.
    pub fn create<E: From<Error>>(
        admin: &Path,
        actor: &str,
        fill: impl FnOnce(&RegistryTransaction<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<Self, E> {
        let file = create_temporary(admin)?;
        let new = Self { connection: connect(file.path())?, actor: actor.to_owned() };
        new.write(|tx| {
            tx.execute_batch(SCHEMA).map_err(Error::from)?;
            tx.pragma_update(None, "user_version", VERSION).map_err(Error::from)?;
            fill(tx)
        })?;
        new.connection.close().map_err(|(_, error)| Error::from(error))?;
        file.publish_new(&path(admin)).map_err(Error::from)?;
        Ok(Self::open(admin, actor)?)
    }

    /// Runs `work` in one transaction that begins by taking the write lock, and commits it.
    ///
    /// # Errors
    /// The error of `work`, after which nothing is changed, or the commit's error.
    pub fn write<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&RegistryTransaction<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.within(TransactionBehavior::Immediate, work)
    }

    /// Runs `work` on one consistent view of the registry.
    pub fn read<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&RegistryTransaction<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.within(TransactionBehavior::Deferred, work)
    }

    fn within<T, E: From<Error>>(
        &self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&RegistryTransaction<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let tx = rusqlite::Transaction::new_unchecked(&self.connection, behavior);
        let tx = tx.map_err(Error::from)?;
        let done = work(&RegistryTransaction { connection: &tx, actor: &self.actor })?;
        tx.commit().map_err(Error::from)?;
        Ok(done)
    }
}

/// Returns whether there is a registry in the folder `admin`.
pub fn exists(admin: &Path) -> bool {
    path(admin).symlink_metadata().is_ok()
}

pub(super) fn path(admin: &Path) -> PathBuf {
    admin.join("registry.db")
}

/// Checks that the registry `path` in `folder` exists, and that no other user could have written
/// it.
fn check(folder: &Path, path: &Path) -> Result<()> {
    // A link to the folder is allowed, because only root can have made it; the file must not be
    // one.
    let found = |metadata: io::Result<Metadata>, of: &Path| match metadata {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::Missing(path.to_owned()))
        }
        metadata => Ok(metadata.map_err(IoError::of("read the metadata of", of))?),
    };
    private::check(folder, &found(fs::metadata(folder), folder)?)?;
    let file = found(fs::symlink_metadata(path), path)?;
    if !file.is_file() {
        return Err(Error::NotAFile(path.to_owned()));
    }
    Ok(private::check(path, &file)?)
}

/// Creates the file of a new registry under a temporary name, and the folder if it is missing.
/// Removes what a process left there that ended before its registry was complete.
fn create_temporary(admin: &Path) -> Result<TempFile> {
    private::make_folder(admin).map_err(IoError::of("use", admin))?;
    let own = std::process::id().to_string();
    for entry in fs::read_dir(admin).map_err(IoError::of("list", admin))? {
        let path = entry.map_err(IoError::of("list", admin))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let creator = name.strip_prefix("registry.db.").and_then(|rest| rest.split_once(".new"));
        let has_ended = |pid: &str| {
            pid == own || (pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists())
        };
        if creator.is_some_and(|(pid, _)| has_ended(pid)) {
            remove_file(&path)?;
        }
    }
    Ok(TempFile::create(admin.join(format!("registry.db.{own}.new")))?)
}

fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    // SQLITE_OPEN_NOFOLLOW also refuses linked parents, and an administrator may use such links.
    let folder = path.parent().unwrap_or(Path::new("/"));
    let real = folder.canonicalize().map_err(IoError::of("resolve", folder))?;
    let path = real.join(path.file_name().unwrap_or_default());
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}
