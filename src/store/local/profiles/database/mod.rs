//! `profiles.db`: an account's profiles, their ids, and a checkpoint per committed import.
//!
//! The database is in WAL mode, so that readers see whole imports while one is being written. Its
//! first import builds it under another name ([`unfinished`](super::unfinished)). A reader without
//! write access to the folder needs the `-wal` and `-shm` files (sqlite.org/wal.html, "Read-Only
//! Databases"). Therefore they stay when the database is closed, with the `-wal` file empty.
//! Many rows are always read and written in the order of their keys.

pub mod connection;
pub mod copy;
pub mod new_database;
pub mod rows;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Statement, params};

use self::connection::{BUSY_TIMEOUT, Handle, connect, version};
use self::new_database::Unfinished;
use self::rows::{Profile, Profiles};
use crate::import_id::ImportId;
use crate::store::{Committed, Error};

/// The version of [`SCHEMA`], stored in `user_version`.
const VERSION: i64 = 1;

/// Times are seconds since 1970 UTC: the earliest and the latest time of the records for the
/// profile. `kind` is identity, fbId, gpId or objectId.
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

/// A table is scanned if at least one row in this many is needed.
pub const SWEEP: i64 = 4;

/// The numbers of rows that one statement may store, the largest that fits first.
const ROWS: [usize; 3] = [128, 16, 1];

/// An open database inside a transaction, which is rolled back if it is dropped before
/// [`Database::commit`].
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    pub(super) connection: Handle,
    /// Set while a new database is being built.
    unfinished: Option<Unfinished>,
}

impl Database {
    /// Opens the database at `path`, or begins to build it, and begins the transaction. Waits ten
    /// seconds for another writer, then fails.
    pub fn begin(path: &Path) -> Result<Self, Error> {
        let unfinished = Unfinished::begin(path, BUSY_TIMEOUT)?;
        let failed = |source| Error::Profiles { operation: "begin", path: path.into(), source };
        let connection = match &unfinished {
            None => Handle::open(path),
            Some(unfinished) => Handle::open_new(unfinished.path()),
        };
        let connection = connection.map_err(failed)?;
        connection.execute_batch("BEGIN IMMEDIATE").map_err(failed)?;
        let database = Self { path: path.to_owned(), connection, unfinished };
        // In a separate transaction. Another version may have created the file without tables.
        database.migrate()?;
        Ok(database)
    }

    /// Returns the counts of `import` if an earlier run committed it to the database at `path`.
    /// Uses no transaction, so it does not wait for a running import.
    pub fn peek(path: &Path, import: &ImportId) -> Result<Option<Committed>, Error> {
        let failed =
            |source| Error::Profiles { operation: "look up the import", path: path.into(), source };
        let connection = connect(path).map_err(failed)?;
        if version(&connection).map_err(failed)? == 0 {
            Ok(None)
        } else {
            committed(&connection, import).map_err(failed)
        }
    }

    /// Returns the counts of `import` if an earlier run committed it.
    pub fn committed(&self, import: &ImportId) -> Result<Option<Committed>, Error> {
        committed(&self.connection, import).map_err(self.failed("look up the import"))
    }

    /// Returns the greatest profile id in use, 0 if there is none.
    pub fn last_profile(&self) -> Result<i64, Error> {
        self.connection
            .query_row("SELECT coalesce(max(id), 0) FROM profile", [], |row| row.get(0))
            .map_err(self.failed("find the last profile"))
    }

    /// Loads the profiles of `ids`, which ascend, until their properties take `most` bytes. Returns
    /// the profiles and the number of ids processed. Ids without a profile are skipped.
    pub fn load(&self, ids: &[i64], most: usize) -> Result<(Profiles, usize), Error> {
        let load = || {
            let (mut found, mut passed) = (Profiles::default(), 0);
            let width =
                ids.last().zip(ids.first()).map_or(0, |(last, first)| last.abs_diff(*first));
            let are_near = width / SWEEP as u64 <= ids.len() as u64;
            for some in ids.chunks(if are_near { ids.len().max(1) } else { 1 }) {
                passed += self.load_between(some, most, &mut found)?;
                if found.text.len() >= most {
                    break;
                }
            }
            Ok((found, passed))
        };
        run(load).map_err(self.failed("load profiles"))
    }

    /// Does [`Self::load`] with one query from the first of `ids` to the last.
    fn load_between(
        &self,
        ids: &[i64],
        most: usize,
        found: &mut Profiles,
    ) -> rusqlite::Result<usize> {
        let sql = "SELECT id, created_at, updated_at, properties FROM profile
            WHERE id BETWEEN ?1 AND ?2 ORDER BY id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([ids.first(), ids.last()])?;
        let mut passed = 0;
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            while ids.get(passed).is_some_and(|wanted| *wanted < id) {
                passed += 1;
            }
            if ids.get(passed) == Some(&id) {
                found.text.push_str(row.get_ref(3)?.as_str()?);
                found.end(id, row.get(1)?, row.get(2)?);
                passed += 1;
                if found.text.len() >= most {
                    return Ok(passed);
                }
            }
        }
        Ok(ids.len())
    }

    /// Inserts or replaces these profiles. Their ids ascend.
    pub fn store(&self, profiles: &Profiles) -> Result<(), Error> {
        let bind = |statement: &mut Statement<'_>, at: usize, profile: Profile<'_>| {
            statement.raw_bind_parameter(at, profile.id)?;
            statement.raw_bind_parameter(at + 1, profile.properties)?;
            statement.raw_bind_parameter(at + 2, profile.created_at)?;
            statement.raw_bind_parameter(at + 3, profile.updated_at)
        };
        let columns = "profile (id, properties, created_at, updated_at)";
        self.replace_into(columns, "(?,?,?,?)", 4, profiles.iter(), bind)
            .map_err(self.failed("store profiles"))
    }

    /// Inserts or replaces `rows`. Each is written as `row` in SQL, with `width` values to bind. A
    /// statement takes one of [`ROWS`] rows: within a statement, SQLite moves from one key to the
    /// next without a search from the root.
    pub(super) fn replace_into<T>(
        &self,
        columns: &str,
        row: &str,
        width: usize,
        mut rows: impl ExactSizeIterator<Item = T>,
        bind: impl Fn(&mut Statement<'_>, usize, T) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        for count in ROWS {
            if rows.len() < count {
                continue;
            }
            let values = vec![row; count].join(",");
            let sql = format!("REPLACE INTO {columns} VALUES {values}");
            let mut statement = self.connection.prepare_cached(&sql)?;
            while rows.len() >= count {
                for (n, row) in rows.by_ref().take(count).enumerate() {
                    bind(&mut statement, n * width + 1, row)?;
                }
                statement.raw_execute()?;
            }
        }
        Ok(())
    }

    /// Adds a checkpoint for `import` and commits.
    ///
    /// # Errors
    /// After an error the transaction may or may not be committed.
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
        run(commit).map_err(self.failed("commit"))?;
        self.publish()
    }

    /// Moves a new database to its final name.
    fn publish(self) -> Result<(), Error> {
        let Some(unfinished) = self.unfinished else { return Ok(()) };
        let set = self.connection.pragma_update(None, "journal_mode", "wal");
        set.map_err(|source| Error::Profiles {
            operation: "commit",
            path: self.path.clone(),
            source,
        })?;
        drop(self.connection);
        unfinished.publish(&self.path)?;
        // Creates the -wal and -shm files.
        if let Err(error) = connect(&self.path).and_then(|connection| version(&connection)) {
            let path = self.path.display();
            tracing::debug!(%path, %error, "cannot create the write-ahead log yet");
        }
        Ok(())
    }

    fn migrate(&self) -> Result<(), Error> {
        let found = version(&self.connection).map_err(self.failed("read the version"))?;
        match found {
            VERSION => Ok(()),
            0 => self
                .connection
                .execute_batch(&format!("{SCHEMA} COMMIT; BEGIN IMMEDIATE;"))
                .map_err(self.failed("create tables")),
            found => Err(Error::Newer { path: self.path.clone(), found, known: VERSION }),
        }
    }

    pub(super) fn failed(
        &self,
        operation: &'static str,
    ) -> impl FnOnce(rusqlite::Error) -> Error + use<'_> {
        move |source| Error::Profiles { operation, path: self.path.clone(), source }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn committed(connection: &Connection, import: &ImportId) -> rusqlite::Result<Option<Committed>> {
    let sql = "SELECT records, moved_ids FROM checkpoint WHERE import = ?1";
    let read = |row: &rusqlite::Row<'_>| {
        let count = |column| row.get(column).map(i64::cast_unsigned);
        Ok(Committed { records: count(0)?, moved_ids: count(1)? })
    };
    connection.query_row(sql, [import.as_str()], read).optional()
}

/// Runs `work`. Fixes the error type for `?` in a closure.
pub(super) fn run<T>(work: impl FnOnce() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    work()
}

#[cfg(test)]
mod tests;
