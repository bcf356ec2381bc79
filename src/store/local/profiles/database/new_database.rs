//! Builds a new `profiles.db` under another name, without a log, and renames it when it is complete.
//!
//! No reader opens it while it is built, so it needs no rollback and each page is written once. A
//! failed build is removed, the leftovers of a crash by the next import. The lock of the account's
//! folder admits one builder at a time, across processes.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::ffi;

use crate::files::durable;
use crate::files::error::IoError;
use crate::store::Error;

/// The interval at which a builder that waits for another tries again.
const LOOK: Duration = Duration::from_millis(20);

/// The exclusive right to build a new database. Dropping it before [`Unfinished::publish`] removes
/// the files.
#[derive(Debug)]
pub struct Unfinished {
    path: PathBuf,
    /// Locked while the value exists. The lock is not on the database itself, since SQLite's locks
    /// of a file are lost when the process closes any handle of it.
    _folder: File,
}

impl Unfinished {
    /// Begins to build the database for `path`. `None` if it exists. Waits up to `patience` for
    /// another builder, then fails.
    pub fn begin(path: &Path, patience: Duration) -> Result<Option<Self>, Error> {
        let until = Instant::now() + patience;
        let folder = path.parent().unwrap_or(path);
        let lock = File::open(folder).map_err(Error::io("open", folder))?;
        loop {
            if path.exists() {
                return Ok(None);
            }
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(LOOK),
                Err(TryLockError::WouldBlock) => return Err(busy(path)),
                Err(TryLockError::Error(error)) => return Err(Error::io("lock", folder)(error)),
            }
        }
        if path.exists() {
            return Ok(None);
        }
        let unfinished = Self { path: name(path), _folder: lock };
        unfinished.remove()?;
        // SQLite would create it with another mode.
        drop(durable::create_file(&unfinished.path)?);
        Ok(Some(unfinished))
    }

    /// Removes the leftovers of a crashed build of `path`, unless another builder is active.
    pub fn clear(path: &Path) -> Result<(), Error> {
        let lock = path.parent().and_then(|folder| File::open(folder).ok());
        match lock.filter(|lock| lock.try_lock().is_ok()) {
            Some(lock) => Ok(Self { path: name(path), _folder: lock }.remove()?),
            None => Ok(()),
        }
    }

    /// Returns the path at which the database is built.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs the database and renames it to `path`. It must be closed and have no log.
    ///
    /// # Errors
    /// After an error the database may or may not be at `path`.
    pub fn publish(self, path: &Path) -> Result<(), Error> {
        Ok(durable::publish(&self.path, path)?)
    }

    fn remove(&self) -> Result<(), IoError> {
        let beside = ["db", "db-wal", "db-shm"];
        beside.iter().try_for_each(|end| durable::remove_file(&self.path.with_extension(end)))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::debug!(%error, "cannot remove an unfinished database, the next import will");
        }
    }
}

fn name(path: &Path) -> PathBuf {
    path.with_file_name(".profiles-unfinished.db")
}

fn busy(path: &Path) -> Error {
    let source = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None);
    Error::Profiles { operation: "begin", path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn one_builds_and_the_others_wait_or_find_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profiles.db");
        let first = Unfinished::begin(&path, Duration::ZERO).unwrap().unwrap();
        assert!(Unfinished::begin(&path, LOOK).is_err());
        Unfinished::clear(&path).unwrap();
        assert!(first.path().exists(), "another's is not cleared");
        let waiting = {
            let path = path.clone();
            thread::spawn(move || Unfinished::begin(&path, Duration::from_secs(60)).unwrap())
        };
        fs::write(first.path(), "whole").unwrap();
        first.publish(&path).unwrap();
        assert!(waiting.join().unwrap().is_none());
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_failed_and_what_a_crash_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profiles.db");
        let names = || fs::read_dir(folder.path()).unwrap().count();
        for _ in 0..2 {
            let unfinished = Unfinished::begin(&path, Duration::ZERO).unwrap().unwrap();
            assert_eq!(fs::read(unfinished.path()).unwrap(), b"");
            drop(unfinished);
            assert_eq!(names(), 0);
            fs::write(name(&path), "cut").unwrap();
            fs::write(name(&path).with_extension("db-wal"), "cut").unwrap();
        }
        Unfinished::clear(&path).unwrap();
        assert_eq!(names(), 0);
    }
}
