//! Group commit: writers that come while another's commit waits for the disk share the next one.
//!
//! Every writer's work runs under a savepoint of its own, inside one SQLite transaction; whoever
//! is the last of those that wait commits it for all. A lone writer has its commit for itself and
//! waits for nobody.
//!
//! Always holds: a writer returns when its change is on the disk, or is not there at all; an error
//! or a panic takes back what its own writer did and nothing else; a transaction never stays open
//! without a writer on its way to end it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use rusqlite::{Connection, ffi};

use super::connection;
use crate::state::{Error, Result, Transaction};

/// The most writers that share a commit: the first of them waits for the others' work.
const MOST: usize = 64;

/// The connection that writes, and those who want it.
#[derive(Debug)]
pub struct Writers {
    path: PathBuf,
    turn: Mutex<Turn>,
    /// The user whose command this process runs; not set in the daemon.
    actor: OnceLock<Box<str>>,
    /// How many wait for their turn; each of them will join an open group.
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct Turn {
    connection: Connection,
    /// Who shares the transaction that is open; none when there is none.
    group: Option<Arc<Group>>,
    members: usize,
    /// The connection was found unable to write.
    stuck: bool,
    /// How often it was opened again.
    reconnected: i64,
}

/// How the commit that some writers share has ended, once it has.
#[derive(Debug, Default)]
struct Group {
    end: Mutex<Option<std::result::Result<(), Refused>>>,
    ended: Condvar,
}

/// SQLite's error, which each member gets a copy of.
#[derive(Clone, Debug)]
struct Refused(ffi::Error, Option<String>);

impl Writers {
    /// Those of the database at `path`, which `connection` has open.
    pub fn new(path: &Path, connection: Connection) -> Self {
        let turn = Turn { connection, group: None, members: 0, stuck: false, reconnected: 0 };
        let (turn, waiting) = (Mutex::new(turn), AtomicUsize::new(0));
        Self { path: path.to_owned(), turn, actor: OnceLock::new(), waiting }
    }

    /// Names the user whose command this process runs, once.
    pub fn set_actor(&self, name: &str) {
        // The first name stays.
        let _ = self.actor.set(name.into());
    }

    /// Runs `work` in a transaction, and commits it.
    ///
    /// # Errors
    /// What `work` returned (then nothing is changed), or the commit's error.
    pub fn write<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.waiting.fetch_add(1, SeqCst);
        let mut turn = self.turn();
        self.waiting.fetch_sub(1, SeqCst);
        let group = turn.join(&self.path)?;
        let outcome =
            catch_unwind(AssertUnwindSafe(|| turn.one(self.actor.get().map(|name| &**name), work)));
        let is_last = self.waiting.load(SeqCst) == 0 || turn.members >= MOST;
        if is_last || turn.connection.is_autocommit() {
            turn.commit();
        }
        drop(turn);
        let value = outcome.unwrap_or_else(|panic| resume_unwind(panic))?;
        group.wait()?;
        Ok(value)
    }

    /// A number that changes whenever another process has committed a change. SQLite counts anew
    /// for each connection, and does not count what it committed itself.
    pub fn data_version(&self) -> rusqlite::Result<i64> {
        let mut turn = self.turn();
        turn.commit();
        let version = turn.connection.pragma_query_value(None, "data_version", |row| row.get(0));
        version.map(|version: i64| turn.reconnected << 32 | version)
    }

    /// Runs `work` on the connection, outside of any transaction.
    pub fn alone<T>(&self, work: impl FnOnce(&Connection) -> T) -> T {
        let mut turn = self.turn();
        turn.commit();
        work(&turn.connection)
    }

    /// As if `connection`, which can't write, had been found to be so.
    #[cfg(test)]
    pub fn become_stuck(&self, connection: Connection) {
        let mut turn = self.turn();
        turn.connection = connection;
        turn.stuck = true;
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        // A panic in a writer's work is caught while the turn is held; the connection is sound.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Joins the transaction that is open, or begins one by taking the write lock.
    fn join(&mut self, path: &Path) -> Result<Arc<Group>> {
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

    /// One writer's work.
    fn one<T, E: From<Error>>(
        &mut self,
        actor: Option<&str>,
        work: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let savepoint = Savepoint::begin(&self.connection).map_err(Error::from)?;
        let value = work(&Transaction { connection: &self.connection, actor })?;
        savepoint.keep().map_err(Error::from)?;
        Ok(value)
    }

    /// Ends the transaction that is open, if any, for all who share it.
    fn commit(&mut self) {
        let Some(group) = self.group.take() else { return };
        if self.connection.is_autocommit() {
            // After some errors, a full disk for one, SQLite rolls back all of it by itself.
            let said = "an error of another's took this change back too".to_owned();
            return group.end(Err(Refused(ffi::Error::new(ffi::SQLITE_ABORT), Some(said))));
        }
        let end = self.connection.execute_batch("COMMIT");
        if end.is_err() && !self.connection.is_autocommit() {
            // What can't be rolled back either ends with its connection.
            self.stuck |= self.connection.execute_batch("ROLLBACK").is_err();
        }
        group.end(end.map_err(Refused::from));
    }
}

impl Group {
    fn end(&self, end: std::result::Result<(), Refused>) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
        self.ended.notify_all();
    }

    /// Waits for the commit.
    fn wait(&self) -> Result<()> {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let end = self.ended.wait_while(end, |end| end.is_none());
        match &*end.unwrap_or_else(PoisonError::into_inner) {
            Some(Err(Refused(error, said))) => {
                Err(Error::Sql(rusqlite::Error::SqliteFailure(*error, said.clone())))
            }
            _ => Ok(()),
        }
    }
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::SqliteFailure(error, said) => Self(error, said),
            other => Self(ffi::Error::new(ffi::SQLITE_ERROR), Some(other.to_string())),
        }
    }
}

/// What one writer does, taken back when it is dropped, a panic included.
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
            // It fails when SQLite has rolled back everything: then the group's end says so.
            let _ = connection.execute_batch("ROLLBACK TO one; RELEASE one");
        }
    }
}

#[cfg(test)]
mod tests;
