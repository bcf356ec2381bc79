//! Files and folders that nobody but this process's user may read or write.

use std::fs::{DirBuilder, Metadata, metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

/// Another user could read or write a file or folder that is to be private.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {fault}; fix: {fix}", path.display())]
pub struct NotPrivate {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: String,
    /// The command that corrects it.
    pub fix: String,
}

/// Checks that what is at `path`, a file or a folder, is private.
///
/// # Errors
/// It belongs to another user, or its mode lets others use it.
pub fn check(path: &Path, found: &Metadata) -> Result<(), NotPrivate> {
    let (own, mode, shown) = (geteuid(), found.mode() & 0o7777, path.display());
    let (fault, fix) = if found.uid() != own.as_raw() {
        (format!("belongs to user id {}", found.uid()), format!("chown {own}: {shown}"))
    } else if mode & 0o077 != 0 {
        let wanted = if found.is_dir() { "0700" } else { "0600" };
        (format!("has mode {mode:04o}, so others can use it"), format!("chmod {wanted} {shown}"))
    } else {
        return Ok(());
    };
    Err(NotPrivate { path: path.to_owned(), fault, fix })
}

/// Makes `folder` if it is missing, and checks that it is private.
///
/// # Errors
/// It can't be made; or [`NotPrivate`], as the error's inner error.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    check(folder, &metadata(folder)?).map_err(io::Error::other)
}
