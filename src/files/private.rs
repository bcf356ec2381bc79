//! Creates and checks files and folders that only the user of this process may read or write.

use std::fs::{DirBuilder, Metadata, metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

/// A file or folder that another user can read or write, although it must be private.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {fault}; fix: {fix}", path.display())]
pub struct NotPrivate {
    pub path: PathBuf,
    pub fault: String,
    /// The command that makes the file or the folder private.
    pub fix: String,
}

/// Checks that `path` belongs to the user of this process and that its mode gives no rights to
/// other users. `found` is the metadata of `path`.
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

/// Creates `folder` if it is missing, and checks that it is private. If `folder` is not private,
/// the error contains a [`NotPrivate`].
pub fn make_folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    check(folder, &metadata(folder)?).map_err(io::Error::other)
}
