//! The registry: the accounts and keys that root's commands approved, and nothing else.
//!
//! Only root can write it (0600, in a folder 0700 of root's), so it is the only source for the
//! publishing of keys and the creation of Unix users. The state database has a copy for all other
//! readers. The daemon's user can write that copy, so nothing is copied from there to the registry
//! without a command of root's that asks for it.
//!
//! A missing registry is an error and never counts as an empty one: see [`Registry::begin`].

pub mod accounts;
pub mod backup;
mod error;
pub mod keys;
mod private;

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

pub use accounts::Account;
pub use error::{Error, Result};
pub use keys::{ApprovedKey, Publishable};

/// How long to wait for another command that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const SCHEMA: &str = include_str!("schema.sql");

/// `PRAGMA user_version` of [`SCHEMA`].
const VERSION: i64 = 1;

/// The open registry.
#[derive(Debug)]
pub struct Registry {
    connection: Connection,
    actor: String,
}

/// A connection inside a transaction. The transaction is committed when its work returns `Ok`, and
/// rolled back when it returns an error.
#[derive(Debug)]
pub struct Transaction<'c> {
    connection: &'c Connection,
    /// The user who runs this command.
    actor: &'c str,
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Registry {
    /// Opens the registry in the folder `admin`. Changes are recorded as made by `actor`.
    pub fn open(admin: &Path, actor: &str) -> Result<Self> {
        let path = path(admin);
        private::check(admin, &path)?;
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
    pub fn begin<E: From<Error>>(
        admin: &Path,
        actor: &str,
        fill: impl FnOnce(&Transaction<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<Self, E> {
        private::make_folder(admin)?;
        let unfinished = private::Unfinished::create(&path(admin))?;
        let new = Self { connection: connect(&unfinished.path)?, actor: actor.to_owned() };
        new.write(|tx| {
            tx.execute_batch(SCHEMA).map_err(Error::from)?;
            tx.pragma_update(None, "user_version", VERSION).map_err(Error::from)?;
            fill(tx)
        })?;
        new.connection.close().map_err(|(_, error)| Error::from(error))?;
        unfinished.take_name()?;
        Ok(Self::open(admin, actor)?)
    }

    /// Runs `work` in one transaction that begins by taking the write lock, and commits it.
    ///
    /// # Errors
    /// The error of `work`, after which nothing is changed, or the commit's error.
    pub fn write<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.within(TransactionBehavior::Immediate, work)
    }

    /// Runs `work` on one consistent view of the registry.
    pub fn read<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.within(TransactionBehavior::Deferred, work)
    }

    fn within<T, E: From<Error>>(
        &self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let tx = rusqlite::Transaction::new_unchecked(&self.connection, behavior);
        let tx = tx.map_err(Error::from)?;
        let done = work(&Transaction { connection: &tx, actor: &self.actor })?;
        tx.commit().map_err(Error::from)?;
        Ok(done)
    }
}

/// Returns whether there is a registry in the folder `admin`.
pub fn exists(admin: &Path) -> bool {
    path(admin).symlink_metadata().is_ok()
}

fn path(admin: &Path) -> PathBuf {
    admin.join("registry.db")
}

fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    // SQLITE_OPEN_NOFOLLOW also refuses linked parents, and an administrator may use such links.
    let folder = path.parent().unwrap_or(Path::new("/"));
    let real = folder.canonicalize().map_err(Error::io("resolve", folder))?;
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

fn timestamp(millis: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(millis)
        .map_err(|_| Error::Value(format!("the time {millis} in milliseconds")))
}

#[cfg(test)]
mod tests;
