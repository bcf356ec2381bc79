//! [`State`]: the open state database.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use super::connection::{self, connect, detect_damage};
use super::error::{Error, Result};
use super::group_commit::GroupCommit;
use super::migrations;
use super::transaction::Transaction;
use crate::files::IoError;
use crate::files::durable::{TempFile, parent, remove_file, with_suffix};
use crate::files::owner::{Owner, OwnerRights};

/// The open state database. Callers share it by reference. One writer and one reader can run at the
/// same time. A reader does not wait for the writer.
#[derive(Debug)]
pub struct State {
    path: PathBuf,
    owner: Owner,
    pub(super) writers: GroupCommit,
    reader: Mutex<Connection>,
}

impl State {
    /// Opens the state database at `path`. Creates or migrates it if this is needed. Only the
    /// owner of the file can read it.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = || IoError::of("create or open the state database", path);
        let owner = Owner::of(parent(path)).map_err(failed())?;
        let _rights = owner.assume().map_err(failed())?;
        create_private(path).map_err(failed())?;
        let mut connection = connect(path)?;
        migrations::run(&mut connection, path).map_err(|error| detect_damage(error, path))?;
        let reader = connect(path)?;
        reader.pragma_update(None, "query_only", true)?;
        let writers = GroupCommit::new(path, connection);
        Ok(Self { path: path.to_owned(), owner, writers, reader: Mutex::new(reader) })
    }

    /// Sets the name of the user who runs the command, for the activity log. Only the first call
    /// has an effect.
    pub fn set_actor(&self, name: &str) {
        self.writers.set_actor(name);
    }

    /// Reads the whole state database. Returns an error if SQLite finds damage. Takes about one
    /// second for each 500 MB.
    pub fn check(&self) -> Result<()> {
        self.read(|tx| connection::check(tx, &self.path))
    }

    /// Runs `work` in one transaction and commits the transaction. The transaction begins by taking
    /// SQLite's write lock.
    ///
    /// # Errors
    /// The error of `work`, or the error of the commit. In both cases nothing is changed.
    pub fn write<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let _rights = self.rights()?;
        self.writers.write(work)
    }

    /// Runs `work` in a read transaction, which has one consistent view of the database.
    pub fn read<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let _rights = self.rights()?;
        // A panic during a read rolls back the read transaction. Therefore the connection is still
        // usable.
        let mut connection = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction().map_err(Error::from)?;
        work(&Transaction::new(&transaction, None))
    }

    /// Copies the write-ahead log into the database file and truncates the log, unless another
    /// connection reads the log.
    pub fn checkpoint(&self) -> Result<()> {
        let _rights = self.rights()?;
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        Ok(self.writers.run_outside(|connection| connection.query_row(sql, [], |_| Ok(())))?)
    }

    /// Returns a number that changes whenever another process has committed a change.
    pub fn data_version(&self) -> Result<i64> {
        let _rights = self.rights()?;
        Ok(self.writers.data_version()?)
    }

    fn rights(&self) -> Result<OwnerRights> {
        Ok(self
            .owner
            .assume()
            .map_err(IoError::of("act as the owner of the folder", parent(&self.path)))?)
    }
}

/// Creates an empty file at `path` if no file exists. Only the owner can read the file. SQLite
/// creates the `-wal` and `-shm` files with the same owner and mode.
fn create_private(path: &Path) -> io::Result<()> {
    if is_there(path)? {
        return Ok(());
    }
    // The file is private before it gets its name, because another process can open it under that
    // name.
    let hidden = path.with_extension(format!("{}.tmp", std::process::id()));
    let is_new = remove_file(&hidden) // the file may remain from an earlier crash
        .and_then(|()| TempFile::create(hidden))
        .and_then(|file| file.publish_new(path));
    is_new.map(drop).map_err(|error| error.source)
}

/// Returns whether the database exists. Returns an error if the database or one of its `-wal`,
/// `-shm` and `-journal` files is not a regular file.
fn is_there(path: &Path) -> io::Result<bool> {
    for ending in ["-wal", "-shm", "-journal", ""] {
        let path = with_suffix(path, ending);
        let found = match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            found => found?,
        };
        let problem = match found.is_symlink() {
            true => "a symbolic link, which is not followed",
            false => "not a regular file",
        };
        if !found.is_file() {
            let path = path.display();
            return Err(io::Error::other(format!("the path {path} is {problem}; remove it")));
        }
        if ending.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A compromised daemon could create such links to mislead the next command of root.
    #[test]
    fn databases_may_not_be_links_or_fifos() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("state.db"), folder.path().join("precious"));
        for exists in [false, true] {
            std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
            let error = State::open(&path).unwrap_err();
            assert!(std::error::Error::source(&error).unwrap().to_string().contains("symbolic"));
            assert_eq!(std::fs::read(&elsewhere).unwrap_or_default(), b"");
            assert_eq!(elsewhere.exists(), exists);
            std::fs::write(&elsewhere, "").unwrap(); // SQLite accepts an empty file
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

    /// On a new host, the first two commands can run at the same time.
    #[test]
    fn opening_the_database_waits_for_other_writers() {
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
