//! Whether a path is root's alone, as sshd asks of authorized_keys (sshd_config(5), StrictModes).
//!
//! Who can write a folder can replace what is in it. So every folder from `/` down, every symbolic
//! link on the way and the file itself must belong to root, and nobody else may write them. There is
//! one exception that sshd does not make: a folder of root's further up may be writable by others if
//! it is sticky, as `/tmp` is, because others can't rename or remove in it what is root's.
//!
//! Links of root's are followed. The path that is returned has none, and only root can change it.

use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// The owner that the helper accepts.
pub const ROOT: &[u32] = &[0];

/// As many as Linux follows (path_resolution(7)).
const MAX_LINKS: u32 = 40;

const STICKY: u32 = 0o1000;
const OTHERS_WRITE: u32 = 0o022;

/// A path that others than root could have changed, or that could not be examined.
#[derive(Debug)]
pub struct Error {
    path: PathBuf,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    Owner(Kind, u32),
    Mode(Kind, u32),
    Wanted(Kind),
    Links,
    Io(io::Error),
}

/// What is at a path. [`Kind::File`] is everything that is neither of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Folder,
    Link,
    File,
}

impl Kind {
    fn of(metadata: &Metadata) -> Self {
        match metadata.file_type() {
            kind if kind.is_dir() => Self::Folder,
            kind if kind.is_symlink() => Self::Link,
            _ => Self::File,
        }
    }
}

impl Error {
    fn new(path: &Path, reason: Reason) -> Self {
        Self { path: path.to_owned(), reason }
    }

    /// What is wrong, without the fix.
    pub fn fault(&self) -> String {
        let path = self.path.display();
        match &self.reason {
            Reason::Owner(_, uid) => format!("{path} belongs to user id {uid}, not to root"),
            Reason::Mode(_, mode) => format!("{path} has mode {mode:04o}: others can write it"),
            Reason::Wanted(Kind::Folder) => format!("{path} is not a folder"),
            Reason::Wanted(_) => format!("{path} is not a regular file"),
            Reason::Links => format!("{path} has too many symbolic links"),
            Reason::Io(error) => format!("{path}: {error}"),
        }
    }

    /// The commands that fix it, in words. A file that others could write is not repaired but
    /// replaced, as they may have written it.
    pub fn fix(&self) -> String {
        let path = self.path.display();
        let command = match &self.reason {
            Reason::Owner(Kind::Folder, _) => format!("`chown root {path}`"),
            Reason::Owner(Kind::Link, _) => format!("`chown -h root {path}`"),
            Reason::Mode(Kind::Folder, _) => format!("`chmod go-w {path}`"),
            Reason::Owner(Kind::File, _) | Reason::Mode(..) => format!("`rm {path}`"),
            Reason::Wanted(_) | Reason::Links => format!("remove {path}"),
            Reason::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                return "`sftp-import provision`".to_owned();
            }
            Reason::Io(_) => return "`sftp-import doctor`".to_owned(),
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

/// Checks the regular file at `path`, and the folder that holds it without the exception for sticky
/// ones. Returns its path without links.
///
/// # Errors
/// One of them belongs to none of `owners`, can be written by others or can't be examined.
pub fn file(path: &Path, owners: &[u32]) -> Result<PathBuf, Error> {
    let real = resolve(path, owners)?;
    if !examine(&real, owners)?.is_file() {
        return Err(Error::new(&real, Reason::Wanted(Kind::File)));
    }
    let folder = real.parent().unwrap_or(Path::new("/"));
    check_folder(folder, &examine(folder, owners)?, owners)?;
    Ok(real)
}

/// Checks that a folder, which is at `path`, is root's alone, sticky or not.
///
/// # Errors
/// It is no folder, belongs to none of `owners` or can be written by others.
pub fn check_folder(path: &Path, metadata: &Metadata, owners: &[u32]) -> Result<(), Error> {
    let wrong = match (Kind::of(metadata), metadata.mode() & 0o7777) {
        (Kind::Folder, mode) if mode & OTHERS_WRITE != 0 => Some(Reason::Mode(Kind::Folder, mode)),
        (Kind::Folder, mode) => judge(Kind::Folder, metadata.uid(), mode, owners),
        _ => Some(Reason::Wanted(Kind::Folder)),
    };
    wrong.map_or(Ok(()), |reason| Err(Error::new(path, reason)))
}

/// Follows `path` from `/`, checking every part before it is passed. Returns it without links.
///
/// # Errors
/// A part belongs to none of `owners`, can be written by others or can't be examined.
pub fn resolve(path: &Path, owners: &[u32]) -> Result<PathBuf, Error> {
    let failed = |path: &Path, error| Error::new(path, Reason::Io(error));
    let mut real = PathBuf::from("/");
    examine(&real, owners)?;
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
                return Err(Error::new(path, Reason::Links));
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

/// Asks what is at `path`, and checks that.
fn examine(path: &Path, owners: &[u32]) -> Result<Metadata, Error> {
    let metadata = fs::symlink_metadata(path).map_err(|e| Error::new(path, Reason::Io(e)))?;
    match judge(Kind::of(&metadata), metadata.uid(), metadata.mode() & 0o7777, owners) {
        None => Ok(metadata),
        Some(reason) => Err(Error::new(path, reason)),
    }
}

/// What is wrong with one part of a path. The mode of a link means nothing.
fn judge(kind: Kind, uid: u32, mode: u32, owners: &[u32]) -> Option<Reason> {
    if !owners.contains(&uid) {
        return Some(Reason::Owner(kind, uid));
    }
    let allowed = match kind {
        Kind::Link => true,
        Kind::Folder => mode & OTHERS_WRITE == 0 || mode & STICKY != 0,
        Kind::File => mode & OTHERS_WRITE == 0,
    };
    (!allowed).then_some(Reason::Mode(kind, mode))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    /// The owners of a test's own files: this process's user, root or not.
    fn owners(folder: &Path) -> [u32; 2] {
        [0, fs::metadata(folder).unwrap().uid()]
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// `a/keys.db` in a folder of the test's own.
    fn keys(folder: &Path) -> PathBuf {
        fs::create_dir(folder.join("a")).unwrap();
        set_mode(&folder.join("a"), 0o750);
        let path = folder.join("a/keys.db");
        fs::write(&path, "").unwrap();
        set_mode(&path, 0o640);
        path
    }

    #[test]
    fn others_own_or_write_no_part_of_the_path() {
        for (kind, uid, mode, is_allowed) in [
            (Kind::Folder, 0, 0o755, true),
            (Kind::Folder, 0, 0o750, true),
            (Kind::Folder, 0, 0o1777, true),
            (Kind::Folder, 0, 0o777, false),
            (Kind::Folder, 0, 0o775, false),
            (Kind::Folder, 0, 0o757, false),
            (Kind::Folder, 998, 0o755, false),
            (Kind::Folder, 998, 0o1755, false),
            (Kind::Link, 0, 0o777, true),
            (Kind::Link, 998, 0o777, false),
            (Kind::File, 0, 0o640, true),
            (Kind::File, 0, 0o644, true),
            (Kind::File, 0, 0o660, false),
            (Kind::File, 0, 0o642, false),
            (Kind::File, 0, 0o1660, false),
            (Kind::File, 998, 0o640, false),
        ] {
            let found = judge(kind, uid, mode, ROOT);
            assert_eq!(found.is_none(), is_allowed, "{kind:?} {uid} {mode:o}: {found:?}");
        }
    }

    #[test]
    fn each_fault_is_named_with_its_fix() {
        let said = |reason| Error::new(Path::new("/x/keys.db"), reason).to_string();
        for (reason, expected) in [
            (
                Reason::Owner(Kind::File, 998),
                "/x/keys.db belongs to user id 998, not to root; \
                 `rm /x/keys.db`, then `sftp-import provision`",
            ),
            (
                Reason::Mode(Kind::File, 0o660),
                "/x/keys.db has mode 0660: others can write it; \
                 `rm /x/keys.db`, then `sftp-import provision`",
            ),
            (
                Reason::Owner(Kind::Folder, 998),
                "/x/keys.db belongs to user id 998, not to root; \
                 `chown root /x/keys.db`, then `sftp-import provision`",
            ),
            (
                Reason::Mode(Kind::Folder, 0o770),
                "/x/keys.db has mode 0770: others can write it; \
                 `chmod go-w /x/keys.db`, then `sftp-import provision`",
            ),
            (
                Reason::Io(io::ErrorKind::NotFound.into()),
                "/x/keys.db: entity not found; `sftp-import provision`",
            ),
        ] {
            assert_eq!(said(reason), expected);
        }
    }

    #[test]
    fn a_file_that_others_can_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, owners) = (keys(folder.path()), owners(folder.path()));
        assert_eq!(file(&path, &owners).unwrap(), fs::canonicalize(&path).unwrap());
        for mode in [0o660, 0o642] {
            set_mode(&path, mode);
            let error = file(&path, &owners).unwrap_err();
            assert!(matches!(error.reason, Reason::Mode(Kind::File, _)), "{error}");
        }
        set_mode(&path, 0o640);
        // Only root can give its file to somebody else.
        if owners[1] == 0 {
            chown(&path, Some(65534), None).unwrap();
        }
        let error = file(&path, ROOT).unwrap_err();
        assert!(matches!(error.reason, Reason::Owner(..)), "{error}");
    }

    #[test]
    fn a_folder_above_that_others_can_write_is_refused_unless_it_is_sticky() {
        let folder = tempfile::tempdir().unwrap();
        let (path, owners) = (keys(folder.path()), owners(folder.path()));
        for (mode, is_allowed) in [(0o777, false), (0o770, false), (0o1777, true), (0o700, true)] {
            set_mode(folder.path(), mode);
            assert_eq!(file(&path, &owners).is_ok(), is_allowed, "{mode:o}");
        }
    }

    /// In a sticky folder others can make the file before root does.
    #[test]
    fn the_folder_of_the_file_is_refused_even_if_it_is_sticky() {
        let folder = tempfile::tempdir().unwrap();
        let (path, owners) = (keys(folder.path()), owners(folder.path()));
        for mode in [0o770, 0o1777] {
            set_mode(path.parent().unwrap(), mode);
            let error = file(&path, &owners).unwrap_err();
            assert!(matches!(error.reason, Reason::Mode(Kind::Folder, _)), "{error}");
        }
    }

    #[test]
    fn links_are_followed_through_folders_that_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        let (path, owners) = (keys(folder.path()), owners(folder.path()));
        let real = fs::canonicalize(&path).unwrap();
        let here = folder.path();
        fs::create_dir(here.join("open")).unwrap();
        symlink(here.join("a"), here.join("open/a")).unwrap();
        symlink("open/a", here.join("relative")).unwrap();
        symlink(here.join("a"), here.join("absolute")).unwrap();
        symlink("../a/keys.db", here.join("open/keys.db")).unwrap();
        for way in ["relative/keys.db", "absolute/keys.db", "open/keys.db", "open/../a/keys.db"] {
            assert_eq!(file(&here.join(way), &owners).unwrap(), real, "{way}");
        }
        // Who can write `open` can have the link lead elsewhere.
        set_mode(&here.join("open"), 0o777);
        for way in ["relative/keys.db", "open/keys.db", "open/../a/keys.db"] {
            let error = file(&here.join(way), &owners).unwrap_err();
            assert_eq!(error.path, fs::canonicalize(here.join("open")).unwrap(), "{way}");
        }
        assert_eq!(file(&here.join("absolute/keys.db"), &owners).unwrap(), real);
    }

    #[test]
    fn what_is_no_regular_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, owners) = (keys(folder.path()), owners(folder.path()));
        let error = file(path.parent().unwrap(), &owners).unwrap_err();
        assert!(error.to_string().contains("is not a regular file"), "{error}");
        symlink("loop", folder.path().join("loop")).unwrap();
        let error = file(&folder.path().join("loop"), &owners).unwrap_err();
        assert!(matches!(error.reason, Reason::Links), "{error}");
        let error = file(&path.join("x"), &owners).unwrap_err();
        assert!(matches!(error.reason, Reason::Io(_)), "{error}");
        let file = fs::metadata(&path).unwrap();
        assert!(check_folder(&path, &file, &owners).is_err());
    }
}
