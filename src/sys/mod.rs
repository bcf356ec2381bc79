//! The only module with `unsafe`: file leases, the allocator's settings and SQLite's open(2), which
//! no safe library offers.
//!
//! A [`ReadLease`] is an open file that no process had open for writing when the lease was taken. A
//! process that later opens the file for writing or truncates it breaks the lease. See fcntl(2),
//! "Leases".

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc;

pub mod memory;
pub mod sqlite;

/// The reason why the kernel refused a read lease on a file.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// A process has the file open for writing, or has mapped the file for writing.
    #[error("the file is open for writing")]
    Writer,
    /// The file system does not support leases. Many network and FUSE file systems do not support
    /// them.
    #[error("the file system does not support leases")]
    Unsupported(#[source] io::Error),
    /// The file belongs to another user, and the process does not have `CAP_LEASE`.
    #[error("leases on other users' files need CAP_LEASE")]
    Denied(#[source] io::Error),
    #[error("cannot take a lease")]
    Other(#[source] io::Error),
}

/// An open file with a read lease on it.
///
/// The lease belongs to the open file description: duplicates of the handle share it, also in other
/// processes. The lease ends when the last duplicate is closed.
#[derive(Debug)]
pub struct ReadLease {
    file: File,
}

impl ReadLease {
    /// Takes a read lease on `file`. The file must be open for reading only.
    pub fn take(file: File) -> Result<Self, LeaseError> {
        // The kernel signals a broken lease by SIGIO, which ends the process by default: an account
        // could stop the daemon by opening a file. SIGURG is ignored by default. No code waits for
        // the signal, because `is_unbroken` queries the lease.
        set_signal(file.as_fd(), libc::SIGURG).map_err(|e| LeaseError::Other(e.into()))?;
        set_lease(file.as_fd(), libc::F_RDLCK)?;
        Ok(Self { file })
    }

    /// Wraps a file on which another process has taken the read lease.
    pub fn from_leased(file: File) -> Self {
        Self { file }
    }

    /// Returns whether no process opened the file for writing, or truncated it, since the lease was
    /// taken.
    ///
    /// The check needs two calls, because open(2) first counts itself as a writer and then breaks
    /// leases. `F_GETLEASE` returns `F_UNLCK` once a break has begun. Setting the lease again fails
    /// while a writer is counted that has not begun the break.
    pub fn is_unbroken(&self) -> io::Result<bool> {
        if get_lease(self.file.as_fd())? != libc::F_RDLCK {
            return Ok(false);
        }
        match set_lease(self.file.as_fd(), libc::F_RDLCK) {
            Ok(()) => Ok(true),
            Err(Errno::EAGAIN) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    pub fn file(&self) -> &File {
        &self.file
    }
}

impl From<Errno> for LeaseError {
    /// Converts the error number of a failed `F_SETLEASE`.
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::EAGAIN => Self::Writer,
            Errno::EINVAL | Errno::ENOTSUP | Errno::ENOLCK | Errno::ENOSYS => {
                Self::Unsupported(errno.into())
            }
            Errno::EACCES | Errno::EPERM => Self::Denied(errno.into()),
            _ => Self::Other(errno.into()),
        }
    }
}

impl LeaseError {
    /// Returns the error number that [`LeaseError::from`] converts to this error.
    pub fn errno(&self) -> Errno {
        match self {
            Self::Writer => Errno::EAGAIN,
            Self::Unsupported(source) | Self::Denied(source) | Self::Other(source) => {
                source.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
            }
        }
    }
}

fn set_lease(file: BorrowedFd<'_>, lease: libc::c_int) -> Result<(), Errno> {
    // SAFETY: the descriptor is open for as long as it is borrowed; F_SETLEASE takes an int and
    // accesses no memory of this process.
    Errno::result(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, lease) }).map(drop)
}

fn get_lease(file: BorrowedFd<'_>) -> Result<libc::c_int, Errno> {
    // SAFETY: the descriptor is open for as long as it is borrowed; F_GETLEASE takes no argument
    // and accesses no memory of this process.
    Errno::result(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLEASE) })
}

fn set_signal(file: BorrowedFd<'_>, signal: libc::c_int) -> Result<(), Errno> {
    // SAFETY: the descriptor is open for as long as it is borrowed; F_SETSIG (10, by the Linux
    // ABI) takes an int and accesses no memory of this process.
    Errno::result(unsafe { libc::fcntl(file.as_raw_fd(), F_SETSIG, signal) }).map(drop)
}

/// `F_SETSIG` of `<fcntl.h>` (Linux, asm-generic), which the libc crate lacks for some targets.
const F_SETSIG: libc::c_int = 10;

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::os::unix::fs::OpenOptionsExt;

    use super::*;

    fn file() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "x").unwrap();
        (folder, path)
    }

    #[test]
    fn a_writer_prevents_a_lease() {
        let (_folder, path) = file();
        let writer = OpenOptions::new().write(true).open(&path).unwrap();
        let refused = ReadLease::take(File::open(&path).unwrap());
        assert!(matches!(refused, Err(LeaseError::Writer)), "{refused:?}");
        drop(writer);
        assert!(ReadLease::take(File::open(&path).unwrap()).unwrap().is_unbroken().unwrap());
    }

    #[test]
    fn a_later_writer_breaks_the_lease() {
        let (_folder, path) = file();
        let lease = ReadLease::take(File::open(&path).unwrap()).unwrap();
        let late = OpenOptions::new().append(true).custom_flags(libc::O_NONBLOCK).open(&path);
        assert_eq!(late.unwrap_err().raw_os_error(), Some(libc::EWOULDBLOCK));
        assert!(!lease.is_unbroken().unwrap());
    }

    #[test]
    fn the_lease_ends_with_the_last_handle() {
        let (_folder, path) = file();
        let lease = ReadLease::take(File::open(&path).unwrap()).unwrap();
        let duplicate = lease.file().try_clone().unwrap();
        File::open(&path).unwrap();
        assert!(lease.is_unbroken().unwrap());
        drop(lease);
        let write = || OpenOptions::new().append(true).custom_flags(libc::O_NONBLOCK).open(&path);
        assert_eq!(write().unwrap_err().raw_os_error(), Some(libc::EWOULDBLOCK));
        assert!(
            !ReadLease::from_leased(duplicate).is_unbroken().unwrap(),
            "the writer began to break the lease"
        );
        // A child process of another test may have this file handle until its exec.
        while write().is_err() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn errors_are_equal_after_conversion_to_numbers() {
        for errno in [Errno::EAGAIN, Errno::EINVAL, Errno::EACCES, Errno::EPIPE] {
            let error = LeaseError::from(errno);
            assert_eq!(error.errno(), errno);
            assert_eq!(matches!(error, LeaseError::Writer), errno == Errno::EAGAIN);
        }
    }

    #[test]
    fn devices_do_not_support_leases() {
        let refused = ReadLease::take(File::open("/dev/null").unwrap());
        assert!(matches!(refused, Err(LeaseError::Unsupported(_))), "{refused:?}");
    }
}
