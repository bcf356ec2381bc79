//! Group commit: several writers share one commit. While one commit is written to the disk, the
//! waiting writers form the group of the next commit.
//!
//! Each writer's work runs inside its own savepoint. All savepoints of a group belong to one SQLite
//! transaction. The last waiting writer of the group commits for all. A single writer commits
//! immediately.
//!
//! Invariants:
//! - When a writer returns, its change is either on the disk or undone.
//! - An error or a panic undoes only the changes of the writer that caused it.
//! - While a transaction is open, at least one writer remains that will end it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use rusqlite::{Connection, ffi};

use super::connection;
use super::error::{Error, Result};
use super::transaction::Transaction;

/// The maximum number of writers that share one commit. The first writer waits for the work of all
/// other writers.
const MAX_MEMBERS: usize = 64;

/// The database connection for writing, and the queue of writers that wait for the connection.
#[derive(Debug)]
pub struct GroupCommit {
    path: PathBuf,
    writer: Mutex<WriteConnection>,
    /// The name of the user who runs the command. Not set in the daemon.
    actor: OnceLock<Box<str>>,
    /// The number of writers that wait for the connection. If a group is open, each waiting writer
    /// joins the group.
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct WriteConnection {
    connection: Connection,
    /// The group of writers that share the open transaction. `None` if no transaction is open.
    group: Option<Arc<CommitGroup>>,
    members: usize,
    /// Whether the connection cannot write and must be replaced.
    stuck: bool,
    /// The number of times that the connection for writing was replaced.
    reconnected: i64,
}

/// A group of writers that share a commit. It has the result of the commit after the commit has
/// ended.
#[derive(Debug, Default)]
struct CommitGroup {
    end: Mutex<Option<std::result::Result<(), SqlError>>>,
    ended: Condvar,
}

/// An SQLite error that can be cloned, so that each member of a group gets the error.
#[derive(Clone, Debug)]
struct SqlError(ffi::Error, Option<String>);

impl GroupCommit {
    /// Creates the queue of writers for `connection`, which has the database at `path` open.
    pub fn new(path: &Path, connection: Connection) -> Self {
        let writer =
            WriteConnection { connection, group: None, members: 0, stuck: false, reconnected: 0 };
        let (writer, waiting) = (Mutex::new(writer), AtomicUsize::new(0));
        Self { path: path.to_owned(), writer, actor: OnceLock::new(), waiting }
    }

    pub fn set_actor(&self, name: &str) {
        // If the name of the user is already set, the earlier name stays.
        let _ = self.actor.set(name.into());
    }

    /// Runs `work` in a transaction and commits the transaction.
    ///
    /// # Errors
    /// Returns the error of `work`, or the error of the commit. In both cases nothing is changed.
    pub fn write<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.waiting.fetch_add(1, SeqCst);
        let mut writer = self.lock_writer();
        self.waiting.fetch_sub(1, SeqCst);
        let group = writer.join(&self.path)?;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            writer.run_one(self.actor.get().map(|name| &**name), work)
        }));
        let is_last = self.waiting.load(SeqCst) == 0 || writer.members >= MAX_MEMBERS;
        if is_last || writer.connection.is_autocommit() {
            writer.commit();
        }
        drop(writer);
        let value = outcome.unwrap_or_else(|panic| resume_unwind(panic))?;
        group.wait()?;
        Ok(value)
    }

    /// Returns a number that changes whenever another process has committed a change. SQLite's own
    /// counter restarts with each connection. The counter does not count commits of the connection
    /// itself.
    pub fn data_version(&self) -> rusqlite::Result<i64> {
        let mut writer = self.lock_writer();
        writer.commit();
        let version = writer.connection.pragma_query_value(None, "data_version", |row| row.get(0));
        version.map(|version: i64| writer.reconnected << 32 | version)
    }

    /// Runs `work` on the connection without a transaction.
    pub fn run_outside<T>(&self, work: impl FnOnce(&Connection) -> T) -> T {
        let mut writer = self.lock_writer();
        writer.commit();
        work(&writer.connection)
    }

    /// Replaces the connection for writing by `connection`, which cannot write.
    #[cfg(test)]
    pub fn become_stuck(&self, connection: Connection) {
        let mut writer = self.lock_writer();
        writer.connection = connection;
        writer.stuck = true;
    }

    fn lock_writer(&self) -> MutexGuard<'_, WriteConnection> {
        // A panic in a writer's work is caught and undone while the lock is held. Therefore a
        // poisoned lock is safe to use.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WriteConnection {
    /// Joins the open transaction. If no transaction is open, takes SQLite's write lock and begins
    /// a transaction.
    fn join(&mut self, path: &Path) -> Result<Arc<CommitGroup>> {
        if let Some(group) = &self.group {
            self.members += 1;
            return Ok(Arc::clone(group));
        }
        if self.stuck {
            self.connection = connection::connect(path)?;
            self.stuck = false;
            self.reconnected += 1;
        }
        self.connection
            .execute_batch("BEGIN IMMEDIATE")
            .inspect_err(|error| self.stuck = connection::is_stuck(error))?;
        self.members = 1;
        Ok(Arc::clone(self.group.insert(Arc::default())))
    }

    /// Runs the work of one writer inside a savepoint.
    fn run_one<T, E: From<Error>>(
        &mut self,
        actor: Option<&str>,
        work: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let savepoint = Savepoint::begin(&self.connection).map_err(Error::from)?;
        let value = work(&Transaction::new(&self.connection, actor))?;
        savepoint.keep().map_err(Error::from)?;
        Ok(value)
    }

    /// Commits the open transaction for all its writers. Does nothing if no transaction is open.
    fn commit(&mut self) {
        let Some(group) = self.group.take() else { return };
        if self.connection.is_autocommit() {
            // After some errors, such as a full disk, SQLite rolls back the whole transaction.
            let message = "the change was undone because another writer's change failed".to_owned();
            return group.end(Err(SqlError(ffi::Error::new(ffi::SQLITE_ABORT), Some(message))));
        }
        let end = self.connection.execute_batch("COMMIT");
        if end.is_err() && !self.connection.is_autocommit() {
            // If the rollback also fails, the connection is replaced. Closing a connection ends its
            // transaction.
            self.stuck |= self.connection.execute_batch("ROLLBACK").is_err();
        }
        group.end(end.map_err(SqlError::from));
    }
}

impl CommitGroup {
    fn end(&self, end: std::result::Result<(), SqlError>) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
        self.ended.notify_all();
    }

    /// Waits until the commit of the group has ended.
    fn wait(&self) -> Result<()> {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let end = self.ended.wait_while(end, |end| end.is_none());
        match &*end.unwrap_or_else(PoisonError::into_inner) {
            Some(Err(SqlError(error, message))) => {
                Err(Error::Sql(rusqlite::Error::SqliteFailure(*error, message.clone())))
            }
            _ => Ok(()),
        }
    }
}

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::SqliteFailure(error, message) => Self(error, message),
            other => Self(ffi::Error::new(ffi::SQLITE_ERROR), Some(other.to_string())),
        }
    }
}

/// The changes of one writer. If they were not kept, they are undone on drop, also after a panic.
struct Savepoint<'c>(Option<&'c Connection>);

impl<'c> Savepoint<'c> {
    fn begin(connection: &'c Connection) -> rusqlite::Result<Self> {
        connection.prepare_cached("SAVEPOINT one")?.execute([])?;
        Ok(Self(Some(connection)))
    }

    fn keep(mut self) -> rusqlite::Result<()> {
        let Some(connection) = self.0 else { return Ok(()) };
        connection.prepare_cached("RELEASE one")?.execute([])?;
        self.0 = None;
        Ok(())
    }
}

impl Drop for Savepoint<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.0 {
            // The statement fails if SQLite has already rolled back the transaction. In that case
            // `commit` reports the error.
            let _ = connection.execute_batch("ROLLBACK TO one; RELEASE one");
        }
    }
}

#[cfg(test)]
mod tests;
