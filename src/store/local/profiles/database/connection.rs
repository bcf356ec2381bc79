//! A connection to a profiles database: how it is set up, and how it leaves the database.

use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::sys::sqlite;

/// How long to wait for another writer, such as a sysadmin's `ingest`.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// SQLite's page cache, in KiB. What doesn't fit is spilled to the `-wal` file.
pub const CACHE_KIB: i64 = 24 << 10;

/// That of a connection that needs no page twice.
const READER_CACHE_KIB: i64 = 1 << 10;

/// Bytes of a page, in a database that is made now. Pages are written one by one.
const PAGE_BYTES: i64 = 16 << 10;

/// A connection that leaves an existing database at rest.
#[derive(Debug)]
pub struct Handle {
    connection: Connection,
    is_new: bool,
}

impl Handle {
    /// Opens the database at `path`, which others may have open too.
    pub fn open(path: &Path) -> rusqlite::Result<Self> {
        Ok(Self { connection: connect(path)?, is_new: false })
    }

    /// Opens a database that nobody reads, that is synced when it is whole, and removed when it
    /// isn't.
    pub fn open_new(path: &Path) -> rusqlite::Result<Self> {
        let connection = open(path)?;
        connection.pragma_update(None, "locking_mode", "exclusive")?;
        connection.pragma_update(None, "journal_mode", "off")?;
        connection.pragma_update(None, "synchronous", "off")?;
        Ok(Self { connection, is_new: true })
    }

    /// Ends an open transaction, then moves everything into the database file and cuts the
    /// `-wal` file, in which an aborted import may have left as much as a committed one.
    fn rest(&self) -> rusqlite::Result<()> {
        if !self.is_autocommit() {
            self.execute_batch("ROLLBACK")?;
        }
        // A reader in the way is not waited for.
        self.busy_timeout(Duration::ZERO)?;
        self.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
    }
}

impl Deref for Handle {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.is_new {
            return; // it has no log, and what is not in its place by then is removed
        }
        if let Err(error) = self.rest() {
            // A commit is durable without it, and the next import does it.
            let path = self.path().unwrap_or_default();
            tracing::debug!(%path, %error, "the write-ahead log stays as it is");
        }
    }
}

/// The version of the tables; 0 when there are none.
pub fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Opens the database at `path`, and leaves it as it is afterwards.
pub fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open(path)?;
    sqlite::distrust(&connection)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(connection)
}

/// Opens the database at `path` to read much of it once, in order.
pub fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open(path)?;
    sqlite::distrust(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    Ok(connection)
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // What a statement would need to be undone alone is otherwise written to a file, by each.
    connection.pragma_update(None, "temp_store", "memory")?;
    Ok(connection)
}
