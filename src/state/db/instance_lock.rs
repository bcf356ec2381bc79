//! The lock of the state folder. One daemon holds it while it runs, or the command that replaces
//! the state database.
//!
//! The kernel releases the lock when the process ends, even by a crash (flock(2)).

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::files::IoError;
use crate::files::lock::{FileLock, LockFile};
use crate::files::owner::Owner;

/// The file in the state folder that is locked.
pub const INSTANCE_LOCK_FILE: &str = "daemon.lock";

/// Why the state folder can't be locked.
#[derive(Debug, thiserror::Error)]
pub enum InstanceLockError {
    #[error(transparent)]
    Io(#[from] IoError),
    /// A daemon uses this state folder.
    #[error("another sftp-importd is running on {}", state.display())]
    Running { state: PathBuf },
}

/// The lock of a state folder; released when dropped.
#[derive(Debug)]
#[must_use = "dropped, it lets another daemon start"]
pub struct InstanceLock {
    _lock: FileLock,
}

impl InstanceLock {
    /// Locks the folder `state`. Waits up to `patience` for another holder to end: a killed process
    /// holds the lock for a moment longer.
    pub fn acquire(state: &Path, patience: Duration) -> Result<Self, InstanceLockError> {
        let file = {
            // The daemon must be able to open the file too.
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
