//! Checks that only root can change a path, as sshd does for authorized_keys (sshd_config(5),
//! StrictModes).
//!
//! A user who can write a folder can replace what is in it. So every folder from `/` down, every
//! symbolic link on the way and the file itself must belong to root, and nobody else may write
//! them. There is one exception that sshd does not have: a folder further up may be writable by
//! others if it is sticky, as `/tmp` is, because others can't rename or remove root's entries in
//! it.
//!
//! Root's links are followed. The returned path has no links, and only root can change it.

#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// The only owner that the helper accepts.
pub const ROOT: &[u32] = &[0];

/// The number of links that Linux follows (path_resolution(7)).
const MAX_LINKS: u32 = 40;

const STICKY: u32 = 0o1000;
const OTHERS_WRITE: u32 = 0o022;

/// A path that another user than root could have changed, or that can't be examined.
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

/// The kind of a directory entry. [`PathKind::File`] is everything but folders and links.
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

    /// Returns the fault without the fix.
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

    /// Returns the commands that fix it. A file that others could write is replaced and not
    /// repaired, because they may have written it.
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

/// Checks that the regular file at `path` can be changed by `owners` alone. The exception for
/// sticky folders does not apply to the folder that contains it. Returns its path without links.
pub fn check_file(path: &Path, owners: &[u32]) -> Result<PathBuf, Error> {
    let real = resolve(path, owners)?;
    if !examine(&real, owners)?.is_file() {
        return Err(Error::new(&real, PathFault::Wanted(PathKind::File)));
    }
    let folder = real.parent().unwrap_or(Path::new("/"));
    check_folder(folder, &examine(folder, owners)?, owners)?;
    Ok(real)
}

/// Checks that `metadata` is of a folder that belongs to one of `owners` and that nobody else can
/// write, even if it is sticky. `path` is for the error.
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

/// Follows `path` from `/` and checks every part before the next. Returns the path without links.
pub fn resolve(path: &Path, owners: &[u32]) -> Result<PathBuf, Error> {
    let failed = |path: &Path, error| Error::new(path, PathFault::Io(error));
    // An absolute path begins with `/`, so that is checked first.
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

/// Reads the metadata of `path` and checks it.
fn examine(path: &Path, owners: &[u32]) -> Result<Metadata, Error> {
    let metadata = fs::symlink_metadata(path).map_err(|e| Error::new(path, PathFault::Io(e)))?;
    match check_entry(PathKind::of(&metadata), metadata.uid(), metadata.mode() & 0o7777, owners) {
        None => Ok(metadata),
        Some(reason) => Err(Error::new(path, reason)),
    }
}

/// Returns the fault of one part of a path. `None` if it has none. A link's mode has no meaning.
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
