//! Connections to a database of profiles: their settings, and the cleanup when they end.

use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::sys::sqlite;

/// The maximum wait for another writer, for example a sysadmin's command `ingest`.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The size of SQLite's page cache, in KiB. If the cache is full, SQLite writes pages to the
/// `-wal` file.
pub const CACHE_KIB: i64 = 24 << 10;

/// The size of the page cache in KiB for a connection that reads each page once.
const READER_CACHE_KIB: i64 = 1 << 10;

/// The page size of a new database of profiles, in bytes. Pages are written one by one.
const PAGE_BYTES: i64 = 16 << 10;

/// A connection that ends its transaction and truncates the `-wal` file when it is dropped.
#[derive(Debug)]
pub struct WriteConnection {
    connection: Connection,
    is_new: bool,
}

impl WriteConnection {
    /// Opens the existing database at `path`. Other processes may use the database at the same
    /// time.
    pub fn open(path: &Path) -> rusqlite::Result<Self> {
        Ok(Self { connection: connect(path)?, is_new: false })
    }

    /// Opens a database that is being built. SQLite needs no journal and no sync, because the
    /// database has no reader and is removed if the build fails.
    pub fn open_new(path: &Path) -> rusqlite::Result<Self> {
        let connection = open(path)?;
        connection.pragma_update(None, "locking_mode", "exclusive")?;
        connection.pragma_update(None, "journal_mode", "off")?;
        connection.pragma_update(None, "synchronous", "off")?;
        Ok(Self { connection, is_new: true })
    }

    /// Rolls back an open transaction, then moves all pages into the database file and truncates
    /// the `-wal` file. That file can be as large after an aborted import as after a committed
    /// import.
    fn clean_up(&self) -> rusqlite::Result<()> {
        if !self.is_autocommit() {
            self.execute_batch("ROLLBACK")?;
        }
        // The checkpoint must not wait for readers.
        self.busy_timeout(Duration::ZERO)?;
        self.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
    }
}

impl Deref for WriteConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for WriteConnection {
    fn drop(&mut self) {
        if self.is_new {
            return; // a new database has no write-ahead log
        }
        if let Err(error) = self.clean_up() {
            // A commit is durable even if the log is not truncated. The next import tries to
            // truncate the log.
            let path = self.path().unwrap_or_default();
            tracing::debug!(%path, %error, "cannot truncate the write-ahead log");
        }
    }
}

/// Returns the version of the database's schema. Returns 0 if the database has no tables.
pub fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Opens the database at `path` in WAL mode. Automatic checkpoints are switched off.
pub fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open(path)?;
    sqlite::distrust(&connection)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(connection)
}

/// Opens the database at `path` for one sequential read of a table.
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
    // By default, each statement of SQLite writes its rollback data to a temporary file.
    connection.pragma_update(None, "temp_store", "memory")?;
    Ok(connection)
}
