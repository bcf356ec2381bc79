//! `profiles.db`: an account's profiles, their ids, and a checkpoint per committed import.
//!
//! The database is in WAL mode, so that readers see whole imports while one is being written. Its
//! first import builds it under another name ([`new_database`]). A reader without write access to
//! the folder needs the `-wal` and `-shm` files (sqlite.org/wal.html, "Read-Only Databases").
//! Therefore they stay when the database is closed, with the `-wal` file empty.
//! Many rows are always read and written in the order of their keys.

mod connection;
pub mod copy;
mod id_table;
pub mod new_database;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Statement, params};

use self::connection::{BUSY_TIMEOUT, WriteConnection, connect, version};
use self::id_table::SqliteIdReader;
use self::new_database::NewDatabase;
use crate::import_id::ImportId;
use crate::store::engine::CommitCounts;
use crate::store::error::Error;
use crate::store::profiles::identity::id_index::IdIndex;
use crate::store::profiles::rows::{IdRows, Profile, Profiles};
use crate::store::profiles::table::{ProfileTable, SCAN_FRACTION};

/// The version of the schema [`SCHEMA`]. It is stored in `user_version`.
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
        moved_ids INTEGER NOT NULL,
        absorbed_profiles INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 1;
";

/// The numbers of rows that one statement can store, in descending order.
const ROWS: [usize; 3] = [128, 16, 1];

/// An open database of profiles inside a transaction. The transaction is rolled back if the value
/// is dropped before [`Database::commit`].
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    connection: WriteConnection,
    /// The new database that is being built. `None` if the database already existed.
    new: Option<NewDatabase>,
}

impl Database {
    /// Opens the database at `path`, or starts a new database, and begins the transaction. Fails
    /// after it has waited ten seconds for another writer.
    pub fn begin(path: &Path) -> Result<Self, Error> {
        let new = NewDatabase::begin(path, BUSY_TIMEOUT)?;
        let connection = match &new {
            None => WriteConnection::open(path),
            Some(new) => WriteConnection::open_new(new.path()),
        };
        let connection = connection.map_err(Error::sqlite("begin", path))?;
        connection.execute_batch("BEGIN IMMEDIATE").map_err(Error::sqlite("begin", path))?;
        let database = Self { path: path.to_owned(), connection, new };
        // A separate transaction creates the tables. Another version may have created the file
        // without tables.
        database.migrate()?;
        Ok(database)
    }

    /// Returns the counts of `import` if an earlier run committed it to the database at `path`.
    /// Uses no transaction, so it does not wait for a running import.
    pub fn read_commit_counts(
        path: &Path,
        import: &ImportId,
    ) -> Result<Option<CommitCounts>, Error> {
        let failed = || Error::sqlite("look up the import", path);
        let connection = connect(path).map_err(failed())?;
        match version(&connection).map_err(failed())? {
            0 => Ok(None),
            _ => commit_counts(&connection, import).map_err(failed()),
        }
    }

    /// Returns the counts of `import` if an earlier run committed the import.
    pub fn commit_counts(&self, import: &ImportId) -> Result<Option<CommitCounts>, Error> {
        commit_counts(&self.connection, import).map_err(self.error("look up the import"))
    }

    /// Appends the profiles of `ids` to `found`, with one query from the first of `ids` to the
    /// last, until `found` has `max_bytes`. Returns the number of ids processed.
    fn load_range(
        &self,
        ids: &[i64],
        max_bytes: usize,
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
                found.add(id, row.get(1)?, row.get(2)?);
                passed += 1;
                if found.text.len() >= max_bytes {
                    return Ok(passed);
                }
            }
        }
        Ok(ids.len())
    }

    /// Inserts or replaces `rows`. `row` is the SQL text of a row, with `width` values to bind. A
    /// statement takes one of [`ROWS`] rows. Within a statement, SQLite moves from one key to the
    /// next without a search from the root.
    fn replace_into<T>(
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

    /// Renames a new database to its final name.
    fn publish(self) -> Result<(), Error> {
        let Some(new) = self.new else { return Ok(()) };
        let set = self.connection.pragma_update(None, "journal_mode", "wal");
        set.map_err(Error::sqlite("commit", &self.path))?;
        drop(self.connection);
        new.publish(&self.path)?;
        // This connection creates the -wal and -shm files.
        if let Err(error) = connect(&self.path).and_then(|connection| version(&connection)) {
            let path = self.path.display();
            tracing::debug!(%path, %error, "cannot create the write-ahead log yet");
        }
        Ok(())
    }

    fn migrate(&self) -> Result<(), Error> {
        let found = version(&self.connection).map_err(self.error("read the version"))?;
        match found {
            // Databases of version 0.2 have no such column, and version 0.2 ignores it. The change
            // is committed with the import.
            VERSION
                if !has_absorbed(&self.connection).map_err(self.error("read the schema"))? =>
            {
                let sql = "ALTER TABLE checkpoint
                    ADD COLUMN absorbed_profiles INTEGER NOT NULL DEFAULT 0";
                self.connection.execute_batch(sql).map_err(self.error("add a column"))
            }
            VERSION => Ok(()),
            0 => self
                .connection
                .execute_batch(&format!("{SCHEMA} COMMIT; BEGIN IMMEDIATE;"))
                .map_err(self.error("create tables")),
            found => Err(Error::Newer { path: self.path.clone(), found, known: VERSION }),
        }
    }

    fn error(&self, operation: &'static str) -> impl FnOnce(rusqlite::Error) -> Error {
        Error::sqlite(operation, &self.path)
    }
}

impl ProfileTable for Database {
    type IdReader = SqliteIdReader;

    fn last_profile(&self) -> Result<i64, Error> {
        self.connection
            .query_row("SELECT coalesce(max(id), 0) FROM profile", [], |row| row.get(0))
            .map_err(self.error("find the last profile"))
    }

    fn count_ids(&self) -> Result<usize, Error> {
        self.connection
            .query_row("SELECT count(*) FROM identity", [], |row| row.get::<_, i64>(0))
            .map(|count| count as usize)
            .map_err(self.error("count ids"))
    }

    fn find_profiles(&self, ids: &IdIndex, scan: bool) -> Result<Vec<i64>, Error> {
        id_table::find_profiles(&self.connection, ids, scan).map_err(self.error("look up ids"))
    }

    fn scan_owners(&self, take: impl FnMut(i64, bool)) -> Result<(), Error> {
        id_table::scan_owners(&self.connection, take).map_err(self.error("count ids"))
    }

    fn id_reader(&self) -> SqliteIdReader {
        SqliteIdReader::new(&self.path)
    }

    fn load_profiles(&self, ids: &[i64], max_bytes: usize) -> Result<(Profiles, usize), Error> {
        let (mut found, mut passed) = (Profiles::default(), 0);
        let width = ids.last().zip(ids.first()).map_or(0, |(last, first)| last.abs_diff(*first));
        let are_near = width / SCAN_FRACTION as u64 <= ids.len() as u64;
        for range in ids.chunks(if are_near { ids.len().max(1) } else { 1 }) {
            let loaded = self.load_range(range, max_bytes, &mut found);
            passed += loaded.map_err(self.error("load profiles"))?;
            if found.text.len() >= max_bytes {
                break;
            }
        }
        Ok((found, passed))
    }

    fn store_profiles(&self, profiles: &Profiles) -> Result<(), Error> {
        let bind = |statement: &mut Statement<'_>, at: usize, profile: Profile<'_>| {
            statement.raw_bind_parameter(at, profile.id)?;
            statement.raw_bind_parameter(at + 1, profile.properties)?;
            statement.raw_bind_parameter(at + 2, profile.created_at)?;
            statement.raw_bind_parameter(at + 3, profile.updated_at)
        };
        let columns = "profile (id, properties, created_at, updated_at)";
        self.replace_into(columns, "(?,?,?,?)", 4, profiles.iter(), bind)
            .map_err(self.error("store profiles"))
    }

    fn remove_profiles(&self, ids: &BTreeSet<i64>) -> Result<(), Error> {
        let remove = || {
            let mut statement =
                self.connection.prepare_cached("DELETE FROM profile WHERE id = ?1")?;
            ids.iter().try_for_each(|id| statement.execute([id]).map(drop))
        };
        remove().map_err(self.error("remove profiles"))
    }

    fn store_ids(&self, ids: &IdRows) -> Result<(), Error> {
        let bind = |statement: &mut Statement<'_>, at: usize, (value, profile): (&str, i64)| {
            statement.raw_bind_parameter(at, value)?;
            statement.raw_bind_parameter(at + 1, profile)
        };
        let row = format!("('{}',?,?)", ids.kind.as_str());
        self.replace_into("identity (kind, value, profile_id)", &row, 2, ids.iter(), bind)
            .map_err(self.error("store ids"))
    }

    fn commit(self, import: &ImportId, counts: CommitCounts) -> Result<(), Error> {
        let sql = "INSERT INTO checkpoint (import, records, moved_ids, absorbed_profiles)
            VALUES (?1, ?2, ?3, ?4)";
        let CommitCounts { records, moved_ids, absorbed_profiles, ts_range: _ } = counts;
        let [records, moved_ids, absorbed_profiles] =
            [records, moved_ids, absorbed_profiles].map(u64::cast_signed);
        self.connection
            .execute(sql, params![import.as_str(), records, moved_ids, absorbed_profiles])
            .and_then(|_| self.connection.execute_batch("COMMIT"))
            .map_err(self.error("commit"))?;
        self.publish()
    }

    fn invalid_properties(&self, id: i64, source: serde_json::Error) -> Error {
        Error::Properties { path: self.path.clone(), id, source }
    }
}

fn commit_counts(
    connection: &Connection,
    import: &ImportId,
) -> rusqlite::Result<Option<CommitCounts>> {
    let absorbed = if has_absorbed(connection)? { "absorbed_profiles" } else { "0" };
    let sql = format!("SELECT records, moved_ids, {absorbed} FROM checkpoint WHERE import = ?1");
    let read = |row: &rusqlite::Row<'_>| {
        let count = |column| row.get(column).map(i64::cast_unsigned);
        Ok(CommitCounts {
            records: count(0)?,
            moved_ids: count(1)?,
            absorbed_profiles: count(2)?,
            ts_range: None,
        })
    };
    connection.query_row(&sql, [import.as_str()], read).optional()
}

/// Returns whether checkpoints have the number of absorbed profiles. Version 0.2 did not count
/// absorbed profiles.
fn has_absorbed(connection: &Connection) -> rusqlite::Result<bool> {
    connection.column_exists(None, "checkpoint", "absorbed_profiles")
}

#[cfg(test)]
mod tests;
