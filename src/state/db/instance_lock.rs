//! The lock of the state folder. A running daemon holds the lock. A command that replaces the state
//! database also holds the lock.
//!
//! The kernel releases the lock when the process ends, even after a crash (flock(2)).

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::files::IoError;
use crate::files::lock::{FileLock, LockFile};
use crate::files::owner::Owner;

/// The name of the lock file in the folder of the state database.
pub const INSTANCE_LOCK_FILE: &str = "daemon.lock";

/// The error of a failed attempt to lock the state folder.
#[derive(Debug, thiserror::Error)]
pub enum InstanceLockError {
    #[error(transparent)]
    Io(#[from] IoError),
    /// Another daemon has locked the state folder.
    #[error("another sftp-importd is running on {}", state.display())]
    Running { state: PathBuf },
}

/// The lock of a state folder. The lock is released on drop.
#[derive(Debug)]
#[must_use = "another daemon can start after this lock was dropped"]
pub struct InstanceLock {
    _lock: FileLock,
}

impl InstanceLock {
    /// Locks the folder `state`. If another process holds the lock, waits up to `patience` for its
    /// end. A killed process holds the lock for a short time after the kill.
    pub fn acquire(state: &Path, patience: Duration) -> Result<Self, InstanceLockError> {
        let file = {
            // The lock file is opened with the rights of the folder's owner, so that the daemon
            // can open it too.
            let _rights = Owner::assume_of(state)?;
            LockFile::open(&state.join(INSTANCE_LOCK_FILE))?
        };
        match file.try_lock(patience)? {
            Some(lock) => Ok(Self { _lock: lock }),
            None => Err(InstanceLockError::Running { state: state.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let patience = Duration::from_secs(60);
        let first = InstanceLock::acquire(folder.path(), patience).unwrap();
        let refused = InstanceLock::acquire(folder.path(), Duration::ZERO).unwrap_err();
        let text = format!("another sftp-importd is running on {}", folder.path().display());
        assert_eq!(refused.to_string(), text);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| InstanceLock::acquire(folder.path(), patience));
            std::thread::sleep(Duration::from_millis(50));
            assert!(!second.is_finished());
            drop(first);
            drop(second.join().unwrap().unwrap());
        });
    }
}
