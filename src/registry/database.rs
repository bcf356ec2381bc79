//! [`Registry`] is the database file of the registry. The file is checked before it is opened. A
//! new file gets its final name only when it is complete.

use std::fs::{self, Metadata};
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::error::{Error, Result};
use crate::files::durable::{TempFile, remove_file};
use crate::files::{IoError, private};

/// The maximum time for which a command waits while another command writes to the registry.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The steps from an empty database to the present schema. After step `n`, `PRAGMA user_version` is
/// `n + 1`.
const SCHEMA: [&str; 2] = [include_str!("schema.sql"), include_str!("schema_2.sql")];

/// The value of `PRAGMA user_version` in a database with all steps of [`SCHEMA`].
pub(super) const VERSION: i64 = SCHEMA.len() as i64;

/// An open registry database.
#[derive(Debug)]
pub struct Registry {
    pub(super) connection: Connection,
    actor: String,
}

/// A connection to the registry with an open transaction. The transaction is committed if its work
/// returns `Ok`, and rolled back if its work returns an error.
#[derive(Debug)]
pub struct RegistryTransaction<'c> {
    connection: &'c Connection,
    /// The name of the user who runs the command.
    pub(super) actor: &'c str,
}

impl Deref for RegistryTransaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Registry {
    /// Opens the registry in the folder `admin`. Each change is recorded with the user name
    /// `actor`.
    pub fn open(admin: &Path, actor: &str) -> Result<Self> {
        let path = path(admin);
        check(admin, &path)?;
        let opened = Self { connection: connect(&path)?, actor: actor.to_owned() };
        match version(&opened.connection)? {
            VERSION => {}
            1.. => opened.write(|tx| upgrade(tx, &path))?,
            found => return Err(Error::Version { path, found, known: VERSION }),
        }
        Ok(opened)
    }

    /// Creates the registry in the folder `admin` with the rows that `fill` writes, and opens it.
    ///
    /// The registry gets its final name when it is complete and stored on the disk. If an error
    /// occurs, no registry is created. If another command creates a registry at the same time, that
    /// registry is opened and the rows of `fill` are dropped.
    pub fn create<E: From<Error>>(
        admin: &Path,
        actor: &str,
        fill: impl FnOnce(&RegistryTransaction<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<Self, E> {
        let file = create_temporary(admin)?;
        let new = Self { connection: connect(file.path())?, actor: actor.to_owned() };
        new.write(|tx| {
            upgrade(tx, file.path())?;
            fill(tx)
        })?;
        new.connection.close().map_err(|(_, error)| Error::from(error))?;
        file.publish_new(&path(admin)).map_err(Error::from)?;
        Ok(Self::open(admin, actor)?)
    }

    /// Runs `work` in one transaction and commits the transaction. The transaction holds SQLite's
    /// write lock from its start.
    ///
    /// # Errors
    /// Returns the error of `work` or the error of the commit. In both cases, the registry is not
    /// changed.
    pub fn write<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&RegistryTransaction<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.within(TransactionBehavior::Immediate, work)
    }

    /// Runs `work` in a read transaction, which has one consistent view of the registry.
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

fn version(connection: &Connection) -> Result<i64> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Runs the steps of [`SCHEMA`] that were not run on this database yet.
///
/// # Errors
/// The registry was written by a newer version of the program.
fn upgrade(tx: &RegistryTransaction<'_>, path: &Path) -> Result<()> {
    let found = version(tx)?;
    let unknown = || Error::Version { path: path.to_owned(), found, known: VERSION };
    let done = usize::try_from(found).ok().filter(|done| *done <= SCHEMA.len());
    for step in &SCHEMA[done.ok_or_else(unknown)?..] {
        tx.execute_batch(step)?;
    }
    Ok(tx.pragma_update(None, "user_version", VERSION)?)
}

/// Returns whether a registry exists in the folder `admin`.
pub fn exists(admin: &Path) -> bool {
    path(admin).symlink_metadata().is_ok()
}

pub(super) fn path(admin: &Path) -> PathBuf {
    admin.join("registry.db")
}

/// Checks that the registry file `path` in `folder` exists, and that only root could have written
/// to the file.
fn check(folder: &Path, path: &Path) -> Result<()> {
    // `folder` may be a symbolic link, because only root can have created the link. The registry
    // file itself may not be a link.
    let found = |metadata: io::Result<Metadata>, of: &Path| match metadata {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::Missing(path.to_owned()))
        }
        metadata => Ok(metadata.map_err(IoError::of("read the metadata of the path", of))?),
    };
    private::check(folder, &found(fs::metadata(folder), folder)?)?;
    let file = found(fs::symlink_metadata(path), path)?;
    if !file.is_file() {
        return Err(Error::NotAFile(path.to_owned()));
    }
    Ok(private::check(path, &file)?)
}

/// Creates the file of a new registry under a temporary name. Creates the folder if it is missing.
/// Removes unfinished files that other processes left in the folder.
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
    // Symbolic links in the path of the folder are resolved first, because SQLITE_OPEN_NOFOLLOW
    // would refuse them. An administrator may use such links.
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
