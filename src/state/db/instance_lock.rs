//! The lock of the state folder. One daemon holds it while it runs, or the command that replaces
//! the state database.
//!
//! The kernel releases the lock when the process ends, even by a crash (flock(2)).

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::files::lock;
use crate::files::owner::Owner;

const LOCK: &str = "daemon.lock";

/// Why the state folder can't be locked.
#[derive(Debug, thiserror::Error)]
pub enum NotAlone {
    #[error("cannot open {}", path.display())]
    Lock { path: PathBuf, source: io::Error },
    /// A daemon uses this state folder.
    #[error("another sftp-importd is running on {}", state.display())]
    Running { state: PathBuf },
}

/// The lock of a state folder; released when dropped.
#[derive(Debug)]
#[must_use = "dropped, it lets another daemon start"]
pub struct Alone {
    _lock: Flock<File>,
}

impl Alone {
    /// Locks the folder `state`. Waits up to `patience` for another holder to end: a killed process
    /// holds the lock for a moment longer.
    pub fn take(state: &Path, patience: Duration) -> Result<Self, NotAlone> {
        let path = state.join(LOCK);
        let failed = |source| NotAlone::Lock { path: path.clone(), source };
        let mut file = open(&path, state).map_err(failed)?;
        let begun = Instant::now();
        loop {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(Self { _lock: lock }),
                Err((unlocked, Errno::EWOULDBLOCK)) if begun.elapsed() < patience => {
                    file = unlocked;
                }
                Err((_, Errno::EWOULDBLOCK)) => {
                    return Err(NotAlone::Running { state: state.to_owned() });
                }
                Err((_, errno)) => return Err(failed(errno.into())),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Opens the lock file with the rights of the folder's owner, because the daemon must be able to
/// open it too.
fn open(path: &Path, state: &Path) -> io::Result<File> {
    let _rights = Owner::of(state)?.assume()?;
    lock::open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_sidecar_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let patience = Duration::from_secs(60);
        let first = Alone::take(folder.path(), patience).unwrap();
        let refused = Alone::take(folder.path(), Duration::ZERO).unwrap_err();
        let text = format!("another sftp-importd is running on {}", folder.path().display());
        assert_eq!(refused.to_string(), text);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| Alone::take(folder.path(), patience));
            std::thread::sleep(Duration::from_millis(50));
            assert!(!second.is_finished());
            drop(first);
            drop(second.join().unwrap().unwrap());
        });
    }
}
