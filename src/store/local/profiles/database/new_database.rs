//! Builds a new `profiles.db` under another name, without a log, and renames it when it is
//! complete.
//!
//! Readers never open the database while it is built, so it needs no rollback and each page is
//! written once. A failed build removes its files. The next import removes the leftovers of a
//! crash. The lock of the account's folder admits one builder at a time, across processes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::ffi;

use crate::files::durable;
use crate::files::error::IoError;
use crate::files::lock::{FileLock, LockFile};
use crate::store::error::Error;

/// The exclusive right to build a new database. If it is dropped before [`NewDatabase::publish`],
/// the files are removed.
#[derive(Debug)]
pub struct NewDatabase {
    path: PathBuf,
    /// A file that is locked while this value exists. The lock is not on the database itself,
    /// because a process loses SQLite's locks of a file when it closes any handle of that file.
    _folder: FileLock,
}

impl NewDatabase {
    /// Begins to build the database for `path`. Returns `None` if the database exists. Fails after
    /// it has waited for another builder for `patience`.
    pub fn begin(path: &Path, patience: Duration) -> Result<Option<Self>, Error> {
        if path.exists() {
            return Ok(None);
        }
        let lock = LockFile::open_folder(durable::parent(path))?.try_lock(patience)?;
        if path.exists() {
            return Ok(None); // another builder has published the database
        }
        let new = Self { path: new_path(path), _folder: lock.ok_or_else(|| busy(path))? };
        new.remove()?;
        // SQLite itself would create the file with another mode.
        drop(durable::create_file(&new.path)?);
        Ok(Some(new))
    }

    /// Removes the files of a build of `path` that crashed, unless another process is building.
    pub fn remove_leftovers(path: &Path) -> Result<(), IoError> {
        let lock = LockFile::open_folder(durable::parent(path)).ok();
        match lock.and_then(|lock| lock.try_lock(Duration::ZERO).ok().flatten()) {
            Some(lock) => Self { path: new_path(path), _folder: lock }.remove(),
            None => Ok(()),
        }
    }

    /// Returns the path at which the new database is built.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs the database and renames it to `path`. The database must be closed and have no log.
    ///
    /// # Errors
    /// After an error the database may or may not be at `path`.
    pub fn publish(self, path: &Path) -> Result<(), IoError> {
        durable::publish(&self.path, path)
    }

    fn remove(&self) -> Result<(), IoError> {
        let beside = ["db", "db-wal", "db-shm"];
        beside.iter().try_for_each(|end| durable::remove_file(&self.path.with_extension(end)))
    }
}

impl Drop for NewDatabase {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::debug!(%error, "cannot remove an unfinished database; the next import removes it");
        }
    }
}

fn new_path(path: &Path) -> PathBuf {
    path.with_file_name(".profiles-unfinished.db")
}

fn busy(path: &Path) -> Error {
    let source = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None);
    Error::sqlite("begin", path)(source)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn other_database_builders_wait_for_the_first_builder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profiles.db");
        let first = NewDatabase::begin(&path, Duration::ZERO).unwrap().unwrap();
        assert!(NewDatabase::begin(&path, Duration::from_millis(20)).is_err());
        NewDatabase::remove_leftovers(&path).unwrap();
        assert!(first.path().exists(), "the file of another builder must stay");
        let waiting = {
            let path = path.clone();
            std::thread::spawn(move || NewDatabase::begin(&path, Duration::from_secs(60)).unwrap())
        };
        fs::write(first.path(), "whole").unwrap();
        first.publish(&path).unwrap();
        assert!(waiting.join().unwrap().is_none());
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn leftovers_of_a_build_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profiles.db");
        let names = || fs::read_dir(folder.path()).unwrap().count();
        for _ in 0..2 {
            let new = NewDatabase::begin(&path, Duration::ZERO).unwrap().unwrap();
            assert_eq!(fs::read(new.path()).unwrap(), b"");
            drop(new);
            assert_eq!(names(), 0);
            fs::write(new_path(&path), "cut").unwrap();
            fs::write(new_path(&path).with_extension("db-wal"), "cut").unwrap();
        }
        NewDatabase::remove_leftovers(&path).unwrap();
        assert_eq!(names(), 0);
    }
}
