//! `profiles.db`: one account's profiles, their ids, and which imports are in it.
//!
//! WAL mode, so anyone who may read the file reads whole imports while one is being written.
//! A reader who can't write beside the database needs its `-wal` and `-shm` files to be there
//! (sqlite.org/wal.html, "Read-Only Databases"); hence they stay when it is closed, the former
//! empty. Statements are in the order of their keys wherever there are many.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::super::super::{Committed, Error};
use super::super::durable;
use crate::import_id::ImportId;
use crate::records::IdKind;

/// Version of [`SCHEMA`], kept in `user_version`.
const VERSION: i64 = 1;

/// Times are seconds since 1970 UTC, by the records' own time: the earliest and the latest of the
/// records that named the profile. `kind` is identity, fbId, gpId or objectId.
const SCHEMA: &str = "
    CREATE TABLE profile (
        id INTEGER PRIMARY KEY,
        properties TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE identity (
        kind TEXT NOT NULL,
        value TEXT NOT NULL,
        profile_id INTEGER NOT NULL,
        PRIMARY KEY (kind, value)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE checkpoint (
        import TEXT PRIMARY KEY,
        records INTEGER NOT NULL,
        moved_ids INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 1;
";

/// How long to wait for another writer, such as a sysadmin's `ingest`.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// SQLite's page cache, in KiB. What doesn't fit is spilled to the `-wal` file.
const CACHE_KIB: i64 = 64 << 10;

/// An open database inside a transaction: dropped before [`Database::commit`], it rolls back.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    connection: Connection,
}

/// A profile as stored, without its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile<'a> {
    /// A JSON object.
    pub properties: &'a str,
    /// Seconds since 1970 UTC.
    pub created_at: i64,
    /// Seconds since 1970 UTC.
    pub updated_at: i64,
}

impl Database {
    /// Opens `path`, making it as needed, and begins the transaction.
    ///
    /// # Errors
    /// It can't be made or opened, isn't a database, is a newer program's, or another writer
    /// didn't end in ten seconds.
    pub fn begin(path: &Path) -> Result<Self, Error> {
        if !path.exists() {
            // For its mode, which SQLite then gives to the files beside it.
            drop(durable::create_file(path)?);
            durable::sync_parent(path)?;
        }
        let failed = |source| Error::Profiles { operation: "begin", path: path.into(), source };
        let connection = open(path).map_err(failed)?;
        connection.execute_batch("BEGIN IMMEDIATE").map_err(failed)?;
        let database = Self { path: path.to_owned(), connection };
        // In a transaction of its own: a reader finds the tables whatever becomes of the import.
        database.migrate()?;
        Ok(database)
    }

    /// What an earlier run of `import` committed.
    ///
    /// # Errors
    /// SQLite's.
    pub fn committed(&self, import: &ImportId) -> Result<Option<Committed>, Error> {
        self.connection
            .query_row(
                "SELECT records, moved_ids FROM checkpoint WHERE import = ?1",
                [import.as_str()],
                |row| {
                    let count = |column| row.get(column).map(i64::cast_unsigned);
                    Ok(Committed { records: count(0)?, moved_ids: count(1)? })
                },
            )
            .optional()
            .map_err(self.failed("look up the import"))
    }

    /// The greatest profile id in use; 0 when there is none.
    ///
    /// # Errors
    /// SQLite's.
    pub fn last_profile(&self) -> Result<i64, Error> {
        self.connection
            .query_row("SELECT coalesce(max(id), 0) FROM profile", [], |row| row.get(0))
            .map_err(self.failed("find the last profile"))
    }

    /// Where each id leads. Taken in `order`, which is that of [`in_key_order`].
    ///
    /// # Errors
    /// SQLite's.
    pub fn look_up(
        &self,
        ids: &[(IdKind, &str)],
        order: &[usize],
    ) -> Result<Vec<Option<i64>>, Error> {
        let mut profiles = vec![None; ids.len()];
        let look_up = || {
            let sql = "SELECT profile_id FROM identity WHERE kind = ?1 AND value = ?2";
            let mut statement = self.connection.prepare_cached(sql)?;
            for &index in order {
                let (kind, value) = ids[index];
                profiles[index] =
                    statement.query_row([kind.as_str(), value], |row| row.get(0)).optional()?;
            }
            Ok(())
        };
        run(look_up).map_err(self.failed("look up ids"))?;
        Ok(profiles)
    }

    /// Makes each id lead to its profile, where that is not where it led `before`. Taken in
    /// `order`, which is that of [`in_key_order`].
    ///
    /// # Errors
    /// SQLite's.
    pub fn lead(
        &self,
        ids: &[(IdKind, &str)],
        order: &[usize],
        before: &[Option<i64>],
        profiles: &[i64],
    ) -> Result<(), Error> {
        let lead = || {
            let sql = "INSERT INTO identity (kind, value, profile_id) VALUES (?1, ?2, ?3)
                ON CONFLICT (kind, value) DO UPDATE SET profile_id = excluded.profile_id";
            let mut statement = self.connection.prepare_cached(sql)?;
            for &index in order {
                let (kind, value) = ids[index];
                if before[index] != Some(profiles[index]) {
                    statement.execute(params![kind.as_str(), value, profiles[index]])?;
                }
            }
            Ok(())
        };
        run(lead).map_err(self.failed("store ids"))
    }

    /// Gives the profile `id` to `read`, if it is there.
    ///
    /// # Errors
    /// SQLite's, or those of `read`.
    pub fn profile<T>(
        &self,
        id: i64,
        read: impl FnOnce(Option<Profile<'_>>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let load = || self.failed("load a profile");
        let sql = "SELECT properties, created_at, updated_at FROM profile WHERE id = ?1";
        let mut statement = self.connection.prepare_cached(sql).map_err(load())?;
        let mut rows = statement.query([id]).map_err(load())?;
        let Some(row) = rows.next().map_err(load())? else { return read(None) };
        let profile = || {
            Ok(Profile {
                properties: row.get_ref(0)?.as_str()?,
                created_at: row.get(1)?,
                updated_at: row.get(2)?,
            })
        };
        read(Some(run(profile).map_err(load())?))
    }

    /// Stores the profile `id`, new or not.
    ///
    /// # Errors
    /// SQLite's.
    pub fn store(&self, id: i64, profile: Profile<'_>) -> Result<(), Error> {
        let store = || {
            let sql = "INSERT INTO profile (id, properties, created_at, updated_at)
                VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO UPDATE SET
                properties = excluded.properties, created_at = excluded.created_at,
                updated_at = excluded.updated_at";
            let Profile { properties, created_at, updated_at } = profile;
            self.connection
                .prepare_cached(sql)?
                .execute(params![id, properties, created_at, updated_at])
        };
        run(store).map_err(self.failed("store a profile")).map(|_| ())
    }

    /// Commits, with `import` noted as committed.
    ///
    /// # Errors
    /// SQLite's; it is then not known whether the transaction is committed.
    pub fn commit(self, import: &ImportId, committed: Committed) -> Result<(), Error> {
        let commit = || {
            self.connection.execute(
                "INSERT INTO checkpoint (import, records, moved_ids) VALUES (?1, ?2, ?3)",
                params![
                    import.as_str(),
                    committed.records.cast_signed(),
                    committed.moved_ids.cast_signed()
                ],
            )?;
            self.connection.execute_batch("COMMIT")
        };
        run(commit).map_err(self.failed("commit"))
    }

    /// Ends an open transaction, then moves everything into the database file and cuts the
    /// `-wal` file, in which an aborted import may have left as much as a committed one.
    fn rest(&self) -> rusqlite::Result<()> {
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        // A reader in the way is not waited for.
        self.connection.busy_timeout(Duration::ZERO)?;
        self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    fn migrate(&self) -> Result<(), Error> {
        let found = self
            .connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(self.failed("read the version"))?;
        match found {
            VERSION => Ok(()),
            0 => self
                .connection
                .execute_batch(&format!("{SCHEMA} COMMIT; BEGIN IMMEDIATE;"))
                .map_err(self.failed("create tables")),
            found => Err(Error::Newer { path: self.path.clone(), found, known: VERSION }),
        }
    }

    fn failed(&self, operation: &'static str) -> impl FnOnce(rusqlite::Error) -> Error + use<'_> {
        move |source| Error::Profiles { operation, path: self.path.clone(), source }
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Err(error) = self.rest() {
            // A commit is durable without it, and the next import does it.
            let path = self.path.display();
            tracing::debug!(%path, %error, "the write-ahead log stays as it is");
        }
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    Ok(connection)
}

/// Gives `?` in a closure its error type.
fn run<T>(work: impl FnOnce() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    work()
}

/// The indices of `ids` as the table is sorted: neighbours are on one page.
pub fn in_key_order(ids: &[(IdKind, &str)]) -> Vec<usize> {
    let mut keys: Vec<_> =
        ids.iter().enumerate().map(|(n, (kind, value))| (kind.as_str(), *value, n)).collect();
    keys.sort_unstable();
    keys.into_iter().map(|(.., n)| n).collect()
}

#[cfg(test)]
#[path = "database_tests.rs"]
mod tests;
