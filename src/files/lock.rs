//! Locks files with flock(2). The kernel releases a lock when its process ends, even after a crash.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};

use super::error::IoError;
use super::private;

/// The pause between two attempts to get a lock.
const PAUSE: Duration = Duration::from_millis(20);

/// An open lock file that is not locked yet.
#[derive(Debug)]
pub struct LockFile {
    path: PathBuf,
    file: File,
}

impl LockFile {
    /// Opens the lock file `path`. Creates the file if it is missing, with rights only for its
    /// owner. Does not follow a symbolic link, and does not wait for the other end of a FIFO.
    pub fn open(path: &Path) -> Result<Self, IoError> {
        let file = open(path).map_err(IoError::of("open", path))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Opens the lock file `name` in `folder`. Creates the file and the folder if they are missing.
    /// Only the user of this process may have rights in the folder, because any other user could
    /// hold the lock forever.
    pub fn open_private(folder: &Path, name: &str) -> Result<Self, IoError> {
        let path = folder.join(name);
        private::make_folder(folder).map_err(IoError::of("lock", &path))?;
        Self::open(&path)
    }

    /// Opens the existing folder `path` as a lock file. The lock is then a lock of the folder
    /// itself.
    pub fn open_folder(path: &Path) -> Result<Self, IoError> {
        let file = File::open(path).map_err(IoError::of("open", path))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Waits until no other process holds the lock, then locks the file.
    pub fn lock(self) -> Result<FileLock, IoError> {
        self.file.lock().map_err(IoError::of("lock", &self.path))?;
        Ok(FileLock::new(self.file))
    }

    /// Locks the file. Returns `None` if another process still holds the lock after the time
    /// `patience`.
    pub fn try_lock(self, patience: Duration) -> Result<Option<FileLock>, IoError> {
        let begun = Instant::now();
        loop {
            match self.file.try_lock() {
                Ok(()) => return Ok(Some(FileLock::new(self.file))),
                Err(TryLockError::WouldBlock) if begun.elapsed() < patience => {
                    std::thread::sleep(PAUSE);
                }
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => {
                    return Err(IoError::new("lock", self.path, error));
                }
            }
        }
    }
}

/// An exclusive lock on a file. The lock is released on drop. If the lock is shared with child
/// processes, it is released only after these have ended as well.
#[derive(Debug)]
#[must_use = "dropping this value releases the lock"]
pub struct FileLock {
    file: File,
    is_shared: AtomicBool,
}

impl FileLock {
    fn new(file: File) -> Self {
        Self { file, is_shared: AtomicBool::new(false) }
    }

    /// Returns a duplicate of the handle, for use as the standard input of a child process. The
    /// lock is then held until the child process ends, even if this process ends earlier.
    pub fn share(&self) -> io::Result<Stdio> {
        self.is_shared.store(true, Ordering::Relaxed);
        Ok(self.file.try_clone()?.into())
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing the file is not enough to release the lock. A child process that was just forked
        // has a duplicate of the handle until its exec. If the unlock fails, the lock ends when the
        // last duplicate is closed.
        if !self.is_shared.load(Ordering::Relaxed) {
            let _ = self.file.unlock();
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(O_NOFOLLOW | O_NONBLOCK)
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use nix::sys::stat::Mode;
    use nix::unistd::{geteuid, mkfifo};

    use super::*;

    #[test]
    fn lock_files_may_not_be_links_or_fifos() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("link"), folder.path().join("target"));
        symlink(&target, &link).unwrap();
        assert!(open(&link).is_err() && !target.exists());
        let fifo = folder.path().join("fifo");
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        assert!(open(&fifo).is_err());
        let _reader = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(&fifo).unwrap();
        assert_eq!(open(&fifo).unwrap_err().to_string(), "it is not a regular file");
    }

    #[test]
    fn a_private_folder_is_created_and_checked() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("admin");
        LockFile::open_private(&folder, "x.lock").unwrap();
        LockFile::open_private(&folder, "x.lock").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&folder), mode(&folder.join("x.lock"))), (0o700, 0o600));
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o710)).unwrap();
        let fault = || LockFile::open_private(&folder, "x.lock").unwrap_err().source.to_string();
        assert!(fault().ends_with(&format!("chmod 0700 {}", folder.display())), "{}", fault());
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        if geteuid().is_root() {
            chown(&folder, Some(4711), None).unwrap();
            assert!(fault().contains("user id 4711"), "{}", fault());
        }
    }
}
