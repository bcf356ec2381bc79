//! Who has the state folder: one sidecar while it runs, or the command that replaces what is in it.
//!
//! The lock goes with the process that holds it, however that ends (flock(2)).

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::files::lock;
use crate::files::owner::Owner;

/// The file that is locked.
const LOCK: &str = "daemon.lock";

/// Why the state folder can't be had alone.
#[derive(Debug, thiserror::Error)]
pub enum NotAlone {
    /// The lock file can't be made.
    #[error("cannot open {}", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A sidecar has this state folder.
    #[error("another sftp-importd is running on {}", state.display())]
    Running {
        /// The state folder.
        state: PathBuf,
    },
}

/// Held for as long as nobody else may have the state folder.
#[derive(Debug)]
#[must_use = "dropped, it lets another sidecar begin"]
pub struct Alone {
    _lock: Flock<File>,
}

impl Alone {
    /// Takes the folder `state`. One who is about to let go of it may have `patience`: a process
    /// that was killed is still one for a moment.
    ///
    /// # Errors
    /// Somebody else has it, or the lock file can't be made.
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

/// Opens the lock file with the rights of the folder's owner, who must be able to open it too.
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
