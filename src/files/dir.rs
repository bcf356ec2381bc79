//! [`Folder`] is an open directory. All files in the directory are opened through its handle.
//!
//! Invariant: opening a file follows no symbolic link and does not wait for the other end of a
//! FIFO. Child processes don't inherit the handle. Each name is one path component: either a name
//! that the spool has checked, or a name that this program chose.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::NixPath;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, openat, renameat2};
use nix::sys::stat::{FileStat, Mode, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};

use super::error::IoError;

/// The reason why a folder can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder does not exist, because the account was removed or is not fully created.
    #[error("the folder {} is missing", path.display())]
    Missing { path: PathBuf },
    #[error(transparent)]
    Io(#[from] IoError),
}

/// An open folder, through which files in it are opened, renamed and removed.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

/// The flags for opening a file or a folder that an account may have created.
const UNTRUSTED: OFlag =
    OFlag::O_NOFOLLOW.union(OFlag::O_NONBLOCK).union(OFlag::O_CLOEXEC).union(OFlag::O_NOCTTY);

/// The flags for opening a folder.
const DIRECTORY: OFlag =
    OFlag::O_DIRECTORY.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC).union(OFlag::O_RDONLY);

impl Folder {
    /// Opens the folder at `path`. Fails if the last component of `path` is a symbolic link.
    pub(crate) fn open(path: &Path) -> Result<Self, FolderError> {
        Self::at(path).map_err(|errno| match errno {
            Errno::ENOENT => FolderError::Missing { path: path.to_owned() },
            errno => IoError::new("open the folder", path, errno).into(),
        })
    }

    /// Opens the folder at `path`. `None` if the folder does not exist.
    pub fn open_existing(path: &Path) -> Result<Option<Self>, FolderError> {
        match Self::open(path) {
            Err(FolderError::Missing { .. }) => Ok(None),
            folder => folder.map(Some),
        }
    }

    /// Opens the folder at `path` like [`Folder::open`], but returns the kernel's error.
    pub fn at(path: &Path) -> nix::Result<Self> {
        let fd = nix::fcntl::open(path, DIRECTORY, Mode::empty())?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Opens the folder `name` inside this folder. Fails if `name` is a symbolic link.
    pub fn subfolder(&self, name: &str) -> nix::Result<Self> {
        let fd = openat(&self.fd, name, DIRECTORY, Mode::empty())?;
        Ok(Self { fd, path: self.path.join(name) })
    }

    /// Returns the path at which the folder was opened. The path is used only in messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Returns the entries of the folder in no particular order, including `.` and `..`.
    pub fn entries(&self) -> nix::Result<nix::dir::OwningIter> {
        // The folder is opened a second time, because a directory stream has one position and this
        // handle may be shared.
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Dir::openat(&self.fd, ".", flags, Mode::empty())?.into_iter())
    }

    /// Returns the attributes of `name`. Does not follow a symbolic link.
    pub fn stat<N: NixPath + ?Sized>(&self, name: &N) -> nix::Result<FileStat> {
        fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW)
    }

    pub fn read(&self, name: &str) -> nix::Result<File> {
        Ok(openat(&self.fd, name, OFlag::O_RDONLY | UNTRUSTED, Mode::empty())?.into())
    }

    /// Creates the file `name` for writing. Truncates the file if it exists.
    pub fn create(&self, name: &str, mode: Mode) -> nix::Result<File> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | UNTRUSTED;
        Ok(openat(&self.fd, name, flags, mode)?.into())
    }

    /// Opens the existing file `name` for reading and writing.
    pub fn update(&self, name: &str) -> nix::Result<File> {
        Ok(openat(&self.fd, name, OFlag::O_RDWR | UNTRUSTED, Mode::empty())?.into())
    }

    /// Creates the file `name` for reading and writing. Fails if the name exists.
    pub(crate) fn create_new(&self, name: &str, mode: Mode) -> nix::Result<File> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | UNTRUSTED;
        Ok(openat(&self.fd, name, flags, mode)?.into())
    }

    /// Creates the file `name` for writing. First removes an existing file or link with the same
    /// name.
    pub(crate) fn replace(&self, name: &str, mode: Mode) -> nix::Result<File> {
        self.remove_existing(name)?;
        self.create_new(name, mode)
    }

    /// Renames `name` in this folder to `new` in the folder `to`. `flags` decide whether an
    /// existing file is replaced.
    pub(crate) fn rename(
        &self,
        name: &str,
        to: &Self,
        new: &str,
        flags: RenameFlags,
    ) -> nix::Result<()> {
        renameat2(&self.fd, name, &to.fd, new, flags)
    }

    pub fn create_folder(&self, name: &str, mode: Mode) -> nix::Result<()> {
        mkdirat(&self.fd, name, mode)
    }

    pub fn remove_folder(&self, name: &str) -> nix::Result<()> {
        unlinkat(&self.fd, name, UnlinkatFlags::RemoveDir)
    }

    pub(crate) fn remove(&self, name: &str) -> nix::Result<()> {
        unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir)
    }

    /// Removes the file `name` if it exists. Returns true if the file existed.
    pub fn remove_existing(&self, name: &str) -> nix::Result<bool> {
        match self.remove(name) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Syncs the folder. Created, renamed and removed names are then durable.
    pub fn sync(&self) -> nix::Result<()> {
        fsync(self.fd.as_fd())
    }
}
