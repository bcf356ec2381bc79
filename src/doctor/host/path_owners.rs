//! Reads the owner and mode of a path and of every folder above it.
//!
//! sshd requires that root owns a chroot, the program that it runs for keys, and every folder above
//! them, and that nobody else can write them (sshd_config(5), ChrootDirectory and
//! AuthorizedKeysCommand).

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// One folder on a path, or the path itself, with its owner and mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPart {
    pub path: PathBuf,
    pub uid: u32,
    pub gid: u32,
    /// The permission bits of the mode.
    pub mode: u32,
    pub is_folder: bool,
}

impl PathPart {
    /// Reads the owner and the mode of `path`. Follows symbolic links.
    pub fn read(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        Ok(Self {
            path: path.to_owned(),
            uid: found.uid(),
            gid: found.gid(),
            mode: found.mode() & 0o7777,
            is_folder: found.is_dir(),
        })
    }

    /// Returns the fault of the path and the command that fixes the fault. `None` if there is no
    /// fault.
    pub fn fault(&self) -> Option<(String, String)> {
        let path = self.path.display();
        let message =
            format!("{path} belongs to user id {} and has mode {:04o}", self.uid, self.mode);
        match (self.uid, self.mode & 0o022) {
            (0, 0) => None,
            (0, _) => Some((message, format!("chmod go-w {path}"))),
            (_, 0) => Some((message, format!("chown root {path}"))),
            _ => Some((message, format!("chown root {path} && chmod go-w {path}"))),
        }
    }

    /// Returns whether the only fault is that root's own group can write. Debian's sshd accepts
    /// that for the program that it runs for keys (user-group-modes.patch); other versions of sshd
    /// do not.
    pub fn is_roots_group_alone(&self) -> bool {
        self.uid == 0 && self.gid == 0 && self.mode & 0o022 == 0o020
    }

    /// Returns whether a user who is neither the owner nor in the group can enter the folder or run
    /// the file.
    pub fn is_open_to_others(&self) -> bool {
        self.mode & 0o001 != 0
    }
}

/// Returns `/` and every entry from there down to `path`, which must be absolute. Follows links.
///
/// # Errors
/// Returns the first path that can't be examined, and the reason.
pub fn path_parts(path: &Path) -> Result<Vec<PathPart>, (PathBuf, io::Error)> {
    let mut above: Vec<&Path> = path.ancestors().collect();
    above.reverse();
    let read = |path: &Path| PathPart::read(path).map_err(|error| (path.to_owned(), error));
    above.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_of_a_path_has_a_fix() {
        let part =
            |uid, mode| PathPart { path: "/srv/x".into(), uid, gid: 0, mode, is_folder: true };
        assert_eq!(part(0, 0o755).fault(), None);
        let fix = |uid, mode| part(uid, mode).fault().unwrap().1;
        assert_eq!(fix(0, 0o775), "chmod go-w /srv/x");
        assert_eq!(fix(1000, 0o755), "chown root /srv/x");
        assert_eq!(fix(1000, 0o757), "chown root /srv/x && chmod go-w /srv/x");
        assert!(part(0, 0o775).is_roots_group_alone() && !part(0, 0o777).is_roots_group_alone());
        assert!(part(0, 0o1777).fault().unwrap().0.contains("mode 1777"));
    }

    #[test]
    fn names_the_missing_part_of_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let parts = path_parts(folder.path()).unwrap();
        assert_eq!(parts.first().unwrap().path, Path::new("/"));
        assert_eq!(parts.last().unwrap().path, folder.path());
        let missing = folder.path().join("a");
        assert_eq!(path_parts(&missing.join("b")).unwrap_err().0, missing);
    }
}
