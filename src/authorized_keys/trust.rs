//! Checks that only root can change a path. sshd applies the same check to authorized_keys
//! (sshd_config(5), StrictModes).
//!
//! A user who can write to a folder can replace the entries of the folder. Therefore every folder
//! from `/` down, every symbolic link on the way and the file itself must belong to root, and no
//! other user may be able to write to them. sshd has no exception to this rule, but this check has
//! one. A folder that does not directly contain the file may be writable for others if it is
//! sticky, like `/tmp`. In a sticky folder other users can't rename or remove root's entries.
//!
//! Links that belong to root are followed. The returned path contains no links, and only root can
//! change it.

#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// The user ids of the owners that the helper accepts: only root.
pub const ROOT: &[u32] = &[0];

/// The maximum number of symbolic links in a path that Linux follows (path_resolution(7)).
const MAX_LINKS: u32 = 40;

const STICKY: u32 = 0o1000;
const OTHERS_WRITE: u32 = 0o022;

/// The error for a path that another user than root could change, or that can't be checked.
#[derive(Debug)]
pub struct Error {
    path: PathBuf,
    reason: PathFault,
}

#[derive(Debug)]
enum PathFault {
    Owner(PathKind, u32),
    Mode(PathKind, u32),
    Wanted(PathKind),
    Links,
    Io(io::Error),
}

/// The kind of a directory entry. [`PathKind::File`] is any entry except a folder or a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PathKind {
    Folder,
    Link,
    File,
}

impl PathKind {
    fn of(metadata: &Metadata) -> Self {
        match metadata.file_type() {
            kind if kind.is_dir() => Self::Folder,
            kind if kind.is_symlink() => Self::Link,
            _ => Self::File,
        }
    }
}

impl Error {
    fn new(path: &Path, reason: PathFault) -> Self {
        Self { path: path.to_owned(), reason }
    }

    /// Returns the description of the fault, without the command that fixes it.
    pub fn fault(&self) -> String {
        let path = self.path.display();
        match &self.reason {
            PathFault::Owner(_, uid) => format!("{path} belongs to user id {uid}, not to root"),
            PathFault::Mode(_, mode) => format!("{path} has mode {mode:04o}: others can write it"),
            PathFault::Wanted(PathKind::Folder) => format!("{path} is not a folder"),
            PathFault::Wanted(_) => format!("{path} is not a regular file"),
            PathFault::Links => format!("{path} has too many symbolic links"),
            PathFault::Io(error) => format!("{path}: {error}"),
        }
    }

    /// Returns the commands that fix the fault. A file that other users can write to is replaced
    /// and not repaired, because these users may have changed its content.
    pub fn fix(&self) -> String {
        let path = self.path.display();
        let command = match &self.reason {
            PathFault::Owner(PathKind::Folder, _) => format!("`chown root {path}`"),
            PathFault::Owner(PathKind::Link, _) => format!("`chown -h root {path}`"),
            PathFault::Mode(PathKind::Folder, _) => format!("`chmod go-w {path}`"),
            PathFault::Owner(PathKind::File, _) | PathFault::Mode(..) => format!("`rm {path}`"),
            PathFault::Wanted(_) | PathFault::Links => format!("remove {path}"),
            PathFault::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                return "`sftp-import provision`".to_owned();
            }
            PathFault::Io(_) => return "`sftp-import doctor`".to_owned(),
        };
        format!("{command}, then `sftp-import provision`")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.fault(), self.fix())
    }
}

impl std::error::Error for Error {}

/// Checks that only `owners` can change the regular file at `path`. The exception for sticky
/// folders does not apply to the folder that contains the file. Returns the path of the file
/// without links.
pub fn check_file(path: &Path, owners: &[u32]) -> Result<PathBuf, Error> {
    let real = resolve(path, owners)?;
    if !examine(&real, owners)?.is_file() {
        return Err(Error::new(&real, PathFault::Wanted(PathKind::File)));
    }
    let folder = real.parent().unwrap_or(Path::new("/"));
    check_folder(folder, &examine(folder, owners)?, owners)?;
    Ok(real)
}

/// Checks that `metadata` describes a folder that belongs to one of `owners`, and that no other
/// user can write to the folder. A sticky folder is no exception. `path` is used only for the
/// error.
pub fn check_folder(path: &Path, metadata: &Metadata, owners: &[u32]) -> Result<(), Error> {
    let wrong = match (PathKind::of(metadata), metadata.mode() & 0o7777) {
        (PathKind::Folder, mode) if mode & OTHERS_WRITE != 0 => {
            Some(PathFault::Mode(PathKind::Folder, mode))
        }
        (PathKind::Folder, mode) => check_entry(PathKind::Folder, metadata.uid(), mode, owners),
        _ => Some(PathFault::Wanted(PathKind::Folder)),
    };
    wrong.map_or(Ok(()), |reason| Err(Error::new(path, reason)))
}

/// Resolves `path` from `/` and checks each component before the next one. Returns the path without
/// links.
pub fn resolve(path: &Path, owners: &[u32]) -> Result<PathBuf, Error> {
    let failed = |path: &Path, error| Error::new(path, PathFault::Io(error));
    // An absolute path begins with `/`. Therefore `/` is checked first.
    let mut real = PathBuf::from("/");
    let mut left = std::path::absolute(path).map_err(|error| failed(path, error))?;
    let mut links = 0;
    while let Some(part) = left.components().next() {
        let mut rest = left.components();
        rest.next();
        let rest = rest.as_path();
        let next = match part {
            Component::RootDir => PathBuf::from("/"),
            Component::ParentDir => real.parent().unwrap_or(Path::new("/")).to_owned(),
            Component::Normal(name) => real.join(name),
            Component::CurDir | Component::Prefix(_) => real.clone(),
        };
        if examine(&next, owners)?.is_symlink() {
            links += 1;
            if links > MAX_LINKS {
                return Err(Error::new(path, PathFault::Links));
            }
            let target = fs::read_link(&next).map_err(|error| failed(&next, error))?;
            left = target.join(rest);
        } else {
            real = next;
            left = rest.to_owned();
        }
    }
    Ok(real)
}

/// Reads the metadata of `path` and checks the owner and the mode.
fn examine(path: &Path, owners: &[u32]) -> Result<Metadata, Error> {
    let metadata = fs::symlink_metadata(path).map_err(|e| Error::new(path, PathFault::Io(e)))?;
    match check_entry(PathKind::of(&metadata), metadata.uid(), metadata.mode() & 0o7777, owners) {
        None => Ok(metadata),
        Some(reason) => Err(Error::new(path, reason)),
    }
}

/// Returns the fault of one component of a path. `None` if the component has no fault. The mode of
/// a link has no meaning and is not checked.
fn check_entry(kind: PathKind, uid: u32, mode: u32, owners: &[u32]) -> Option<PathFault> {
    if !owners.contains(&uid) {
        return Some(PathFault::Owner(kind, uid));
    }
    let allowed = match kind {
        PathKind::Link => true,
        PathKind::Folder => mode & OTHERS_WRITE == 0 || mode & STICKY != 0,
        PathKind::File => mode & OTHERS_WRITE == 0,
    };
    (!allowed).then_some(PathFault::Mode(kind, mode))
}
