//! The state database: accounts, keys, imports, outbox, activity log. SQLite in WAL mode.
//!
//! Owns the connection, the migrations and every SQL statement on `state.db`, one file per table
//! family. Callers that change several things in one step get a [`Transaction`] from
//! [`State::write`] and pass it down; nothing here commits on its own.
//!
//! In a command that root runs, every use of a connection has the file rights of the folder's owner
//! ([`Owner`]), and so has the work in [`State::read`] and [`State::write`]: the daemon's user can
//! write that folder, and SQLite opens files in it at any statement. The alternatives leave gaps:
//! a file can be replaced between a check of its name and its use, rights for the opening alone
//! don't cover the files beside the database, and `SQLITE_OPEN_NOFOLLOW` also refuses linked
//! parents of the folder. Work that opens a file of root's, such as an export, uses
//! [`Owner::of_process`].

pub mod account_data;
pub mod accounts;
pub mod activity;
pub mod db;
pub mod deliveries;
pub mod endpoints;
pub mod gauges;
pub mod health;
pub mod imports;
pub mod incoming_full;
pub mod keys;
pub mod retention;
pub mod unclaimed;
pub mod uploads;

use std::fs::OpenOptions;
use std::io;
use std::ops::Deref;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

pub use db::connection::Damage;
pub use db::error::{Error, Result};
use db::group_commit::Writers;
pub use db::instance_lock::{Alone, NotAlone};
pub use db::restore::{Before, Replaced, open_backup, replace};

use crate::files::owner::{Owner, OwnerRights};

/// How long to wait for another process's write, such as a sysadmin's command.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The open state database, shared by reference. One writer runs at a time, and one reader; readers
/// don't wait for writers.
#[derive(Debug)]
pub struct State {
    path: PathBuf,
    owner: Owner,
    writers: Writers,
    reader: Mutex<Connection>,
}

/// A connection inside a transaction. The transaction is committed when its work returns `Ok`, and
/// rolled back when it returns an error.
#[derive(Debug)]
pub struct Transaction<'c> {
    connection: &'c Connection,
    actor: Option<&'c str>,
}

impl Transaction<'_> {
    /// The user who runs this command; `None` for the daemon.
    fn actor(&self) -> Option<&str> {
        self.actor
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl State {
    /// Opens `path`, creating and migrating it as needed. Only its owner can read it.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |source| Error::Create { path: path.to_owned(), source };
        let owner = owner(path).map_err(failed)?;
        let _rights = owner.assume().map_err(failed)?;
        create_private(path).map_err(failed)?;
        let mut connection = db::connection::connect(path)?;
        db::migrations::run(&mut connection, path)
            .map_err(|error| db::connection::explain(error, path))?;
        let reader = db::connection::connect(path)?;
        reader.pragma_update(None, "query_only", true)?;
        let writers = Writers::new(path, connection);
        Ok(Self { path: path.to_owned(), owner, writers, reader: Mutex::new(reader) })
    }

    /// Sets the user who runs this command, for the activity log. Later calls change nothing.
    pub fn set_actor(&self, name: &str) {
        self.writers.set_actor(name);
    }

    /// Reads the whole database and checks it for damage. Takes about a second for each 500 MB.
    pub fn check(&self) -> Result<()> {
        self.read(|tx| db::connection::check(tx, &self.path))
    }

    /// Runs `work` in one transaction that begins by taking the write lock, and commits it.
    ///
    /// # Errors
    /// The error of `work`, after which nothing is changed, or the commit's error.
    pub fn write<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let _rights = self.rights()?;
        self.writers.write(work)
    }

    /// Runs `work` on one consistent view of the database.
    pub fn read<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let _rights = self.rights()?;
        // A panic while the lock was held rolled back its transaction: the connection is usable.
        let mut connection = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction().map_err(Error::from)?;
        work(&Transaction { connection: &transaction, actor: None })
    }

    /// Copies the write-ahead log into the database file and truncates the log, unless another
    /// connection is reading it.
    pub fn checkpoint(&self) -> Result<()> {
        let _rights = self.rights()?;
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        Ok(self.writers.alone(|connection| connection.query_row(sql, [], |_| Ok(())))?)
    }

    /// Returns a number that changes whenever another process has committed a change.
    pub fn data_version(&self) -> Result<i64> {
        let _rights = self.rights()?;
        Ok(self.writers.data_version()?)
    }

    fn rights(&self) -> Result<OwnerRights> {
        self.owner.assume().map_err(|source| Error::Owner { path: self.path.clone(), source })
    }
}

/// Returns the owner of the folder that the database `path` is in.
fn owner(path: &Path) -> io::Result<Owner> {
    Owner::of(path.parent().unwrap_or(Path::new("/")))
}

/// Creates an empty file at `path` if there is none, readable by its owner only. SQLite gives the
/// files beside it the same owner and mode.
fn create_private(path: &Path) -> io::Result<()> {
    if is_there(path)? {
        return Ok(());
    }
    // It gets its name only when it is private: another process can open it from then on.
    let hidden = path.with_extension(format!("{}.tmp", std::process::id()));
    match std::fs::remove_file(&hidden) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {} // removed what a crash left
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&hidden)?;
    let named = match std::fs::hard_link(&hidden, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        named => named,
    };
    std::fs::remove_file(&hidden)?;
    named
}

/// Returns whether the database exists. It and the files that SQLite keeps beside it must be
/// regular files.
fn is_there(path: &Path) -> io::Result<bool> {
    for ending in ["-wal", "-shm", "-journal", ""] {
        let mut path = path.as_os_str().to_owned();
        path.push(ending);
        let found = match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            found => found?,
        };
        let problem = match found.is_symlink() {
            true => "a symbolic link, which is not followed",
            false => "not a regular file",
        };
        if !found.is_file() {
            let path = Path::new(&path).display();
            return Err(io::Error::other(format!("{path} is {problem}; remove it")));
        }
        if ending.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the present time to the millisecond, which is the precision of the state database.
pub fn now() -> jiff::Timestamp {
    let now = jiff::Timestamp::now();
    timestamp(millis(now)).unwrap_or(now)
}

/// Converts a time to the unit of every time column: milliseconds since 1970 UTC.
pub fn millis(time: jiff::Timestamp) -> i64 {
    time.as_millisecond()
}

/// Converts the value of a time column. An error means that this program did not write it.
pub fn timestamp(millis: i64) -> Result<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(millis)
        .map_err(|_| Error::Value(format!("the time {millis}, which is out of range")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rusqlite::Connection;

    use super::State;

    /// A compromised daemon could create these links for root's next command.
    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("state.db"), folder.path().join("precious"));
        for exists in [false, true] {
            std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
            let error = State::open(&path).unwrap_err();
            assert!(std::error::Error::source(&error).unwrap().to_string().contains("symbolic"));
            assert_eq!(std::fs::read(&elsewhere).unwrap_or_default(), b"");
            assert_eq!(elsewhere.exists(), exists);
            std::fs::write(&elsewhere, "").unwrap(); // empty: SQLite would use it as a new database
            std::fs::remove_file(&path).unwrap();
        }
        for beside in ["state.db-wal", "state.db-shm", "state.db-journal"] {
            let link = folder.path().join(beside);
            std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
            let error = State::open(&path).unwrap_err();
            assert!(std::error::Error::source(&error).unwrap().to_string().contains("symbolic"));
            assert_eq!(std::fs::read(&elsewhere).unwrap(), b"", "{beside}");
            std::fs::remove_file(&link).unwrap();
            nix::unistd::mkfifo(&link, nix::sys::stat::Mode::S_IRWXU).unwrap();
            let error = State::open(&path).unwrap_err();
            assert!(std::error::Error::source(&error).unwrap().to_string().contains("regular"));
            std::fs::remove_file(&link).unwrap();
        }
    }

    /// Two commands can be the first ones on a new host at the same time.
    #[test]
    fn a_new_database_that_another_writes_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE t (x); BEGIN IMMEDIATE").unwrap();
        std::thread::scope(|scope| {
            let opened = scope.spawn(|| State::open(&path));
            std::thread::sleep(Duration::from_millis(200));
            assert!(!opened.is_finished());
            other.execute_batch("COMMIT").unwrap();
            opened.join().unwrap().unwrap();
        });
    }
}
