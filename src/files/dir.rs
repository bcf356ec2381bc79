//! [`Folder`]: an open directory, the only way to what lies in it.
//!
//! Nothing opened here follows a symbolic link, waits for a FIFO's other end, or leaks into a
//! child process. Names are one path component: [`crate::spool::incoming::entry::usable_name`] or our own.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::NixPath;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, openat, renameat2};
use nix::sys::stat::{FileStat, Mode, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};

/// A folder that should be there can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It is not there: the account was removed, or never fully made.
    #[error("the folder {} is missing", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// It is there, and can't be opened.
    #[error("cannot open the folder {}", path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// An open directory.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

/// Open flags for whatever an account may have put there.
const UNTRUSTED: OFlag =
    OFlag::O_NOFOLLOW.union(OFlag::O_NONBLOCK).union(OFlag::O_CLOEXEC).union(OFlag::O_NOCTTY);

/// Open flags for a folder.
const DIRECTORY: OFlag =
    OFlag::O_DIRECTORY.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC).union(OFlag::O_RDONLY);

impl Folder {
    /// Opens the folder at `path`; its last component may not be a symbolic link.
    pub(crate) fn open(path: &Path) -> Result<Self, FolderError> {
        Self::at(path).map_err(|errno| match errno {
            Errno::ENOENT => FolderError::Missing { path: path.to_owned() },
            errno => FolderError::Open { path: path.to_owned(), source: errno.into() },
        })
    }

    /// As [`Folder::open`], with the kernel's error.
    pub fn at(path: &Path) -> nix::Result<Self> {
        let fd = nix::fcntl::open(path, DIRECTORY, Mode::empty())?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Opens the folder `name` in this one, which may not be a symbolic link.
    pub fn subfolder(&self, name: &str) -> nix::Result<Self> {
        let fd = openat(&self.fd, name, DIRECTORY, Mode::empty())?;
        Ok(Self { fd, path: self.path.join(name) })
    }

    /// Where it was when it was opened; for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its handle.
    pub fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Its entries' names, in no order, `.` and `..` among them.
    pub fn entries(&self) -> nix::Result<nix::dir::OwningIter> {
        // Opened anew: a directory stream has one position, and this handle may be shared.
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Dir::openat(&self.fd, ".", flags, Mode::empty())?.into_iter())
    }

    /// What the name `name` is; of a symbolic link, the link.
    pub fn stat<N: NixPath + ?Sized>(&self, name: &N) -> nix::Result<FileStat> {
        fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW)
    }

    /// Opens `name` for reading.
    pub fn read(&self, name: &str) -> nix::Result<File> {
        Ok(openat(&self.fd, name, OFlag::O_RDONLY | UNTRUSTED, Mode::empty())?.into())
    }

    /// Creates `name`, or empties the regular file of that name, for writing.
    pub fn create(&self, name: &str, mode: Mode) -> nix::Result<File> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | UNTRUSTED;
        Ok(openat(&self.fd, name, flags, mode)?.into())
    }

    /// Creates the file `name` for writing, in place of the file or link of that name.
    pub(crate) fn replace(&self, name: &str, mode: Mode) -> nix::Result<File> {
        match self.remove(name) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno),
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | UNTRUSTED;
        Ok(openat(&self.fd, name, flags, mode)?.into())
    }

    /// Renames `name` here to `new` in `to`; `flags` say whether over an existing file.
    pub(crate) fn rename(
        &self,
        name: &str,
        to: &Self,
        new: &str,
        flags: RenameFlags,
    ) -> nix::Result<()> {
        renameat2(&self.fd, name, &to.fd, new, flags)
    }

    /// Creates the folder `name`.
    pub fn create_folder(&self, name: &str, mode: Mode) -> nix::Result<()> {
        mkdirat(&self.fd, name, mode)
    }

    /// Removes the empty folder `name`.
    pub fn remove_folder(&self, name: &str) -> nix::Result<()> {
        unlinkat(&self.fd, name, UnlinkatFlags::RemoveDir)
    }

    /// Removes the name `name`.
    pub(crate) fn remove(&self, name: &str) -> nix::Result<()> {
        unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir)
    }

    /// Makes what was created, renamed and removed here durable.
    pub fn sync(&self) -> nix::Result<()> {
        fsync(self.fd.as_fd())
    }
}
