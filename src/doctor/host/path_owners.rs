//! A path and every folder above it: whose each is, and whether others can change it.
//!
//! sshd wants the chain of a chroot, and that of the program it runs for keys, to be root's and
//! writable by nobody else, up to `/` (sshd_config(5), ChrootDirectory and AuthorizedKeysCommand).

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// One file or folder on the way to a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where.
    pub path: PathBuf,
    /// The owner's user id.
    pub uid: u32,
    /// The group's id.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// Whether it is a folder.
    pub is_folder: bool,
}

impl Link {
    /// What is wrong with it, and the command that mends it; none when nothing is.
    pub fn trouble(&self) -> Option<(String, String)> {
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

    /// Whether all that is wrong is that root's own group may write: Debian's sshd lets that pass for
    /// the program that it asks for keys (its user-group-modes.patch), others don't.
    pub fn is_roots_group_alone(&self) -> bool {
        self.uid == 0 && self.gid == 0 && self.mode & 0o022 == 0o020
    }

    /// Whether who is neither its owner nor in its group can pass through or run it.
    pub fn is_open_to_others(&self) -> bool {
        self.mode & 0o001 != 0
    }
}

/// `/` and everything from there down to `path`, which must be absolute; links followed.
///
/// # Errors
/// The first of them that can't be looked at, and why.
pub fn chain(path: &Path) -> Result<Vec<Link>, (PathBuf, io::Error)> {
    let mut above: Vec<&Path> = path.ancestors().collect();
    above.reverse();
    above.into_iter().map(|path| look(path).map_err(|error| (path.to_owned(), error))).collect()
}

fn look(path: &Path) -> io::Result<Link> {
    let found = fs::metadata(path)?;
    Ok(Link {
        path: path.to_owned(),
        uid: found.uid(),
        gid: found.gid(),
        mode: found.mode() & 0o7777,
        is_folder: found.is_dir(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong_and_what_mends_it() {
        let link = |uid, mode| Link { path: "/srv/x".into(), uid, gid: 0, mode, is_folder: true };
        assert_eq!(link(0, 0o755).trouble(), None);
        let fix = |uid, mode| link(uid, mode).trouble().unwrap().1;
        assert_eq!(fix(0, 0o775), "chmod go-w /srv/x");
        assert_eq!(fix(1000, 0o755), "chown root /srv/x");
        assert_eq!(fix(1000, 0o757), "chown root /srv/x && chmod go-w /srv/x");
        assert!(link(0, 0o775).is_roots_group_alone() && !link(0, 0o777).is_roots_group_alone());
        assert!(link(0, 0o1777).trouble().unwrap().0.contains("mode 1777"));
    }

    #[test]
    fn begins_at_the_root_and_names_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let links = chain(folder.path()).unwrap();
        assert_eq!(links.first().unwrap().path, Path::new("/"));
        assert_eq!(links.last().unwrap().path, folder.path());
        let missing = folder.path().join("a");
        assert_eq!(chain(&missing.join("b")).unwrap_err().0, missing);
    }
}
