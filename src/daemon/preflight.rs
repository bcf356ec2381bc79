//! What must be so before the first upload: said at the start, with the fix, not at that upload.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::geteuid;

use crate::config::Paths;
use crate::spool::Layout;
use crate::state::{Alone, NotAlone};

/// How long a sidecar that is ending may take to let go of the lock: one that was killed is still
/// a process for a moment.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why this process can't be the sidecar.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// A folder of the package's is missing.
    #[error(
        "there is no folder {}; `systemd-tmpfiles --create sftp-import.conf` makes it, \
         as the package does", path.display()
    )]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// A folder can't be looked at.
    #[error("cannot look at {}", path.display())]
    Look {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Started as somebody else.
    #[error(
        "{} belongs to the user with id {owner}, and this runs as {us}; \
         `systemctl start sftp-importd` starts it as the right one", path.display()
    )]
    OtherUser {
        /// The spool.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        us: u32,
    },
    /// A claim could not be a rename.
    #[error("{} and {} must lie on one file system", accounts.display(), spool.display())]
    TwoFileSystems {
        /// The accounts' folder.
        accounts: PathBuf,
        /// The spool.
        spool: PathBuf,
    },
}

/// Checks that this process can be the daemon on these folders.
///
/// # Errors
/// The first thing that is in the way.
pub fn check(paths: &Paths) -> Result<(), Unfit> {
    let spool = Layout::new(paths).spool();
    let root = look(&paths.accounts)?;
    let metadata = look(&spool)?;
    look(&paths.state)?;
    let us = geteuid().as_raw();
    if metadata.uid() != us {
        return Err(Unfit::OtherUser { path: spool, owner: metadata.uid(), us });
    }
    if metadata.dev() != root.dev() {
        return Err(Unfit::TwoFileSystems { accounts: paths.accounts.clone(), spool });
    }
    Ok(())
}

/// Waits a moment for being the only daemon on the state folder.
///
/// # Errors
/// Another one has it.
pub fn be_alone(paths: &Paths) -> Result<Alone, NotAlone> {
    Alone::take(&paths.state, PATIENCE)
}

fn look(path: &Path) -> Result<fs::Metadata, Unfit> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(metadata),
        Ok(_) => Err(Unfit::Missing { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Unfit::Missing { path: path.to_owned() })
        }
        Err(source) => Err(Unfit::Look { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> (tempfile::TempDir, Paths) {
        let folder = tempfile::tempdir().unwrap();
        let (accounts, state) = (folder.path().join("srv"), folder.path().join("var"));
        let paths = Paths { accounts, state, ..Paths::default() };
        fs::create_dir_all(Layout::new(&paths).spool()).unwrap();
        fs::create_dir(&paths.state).unwrap();
        (folder, paths)
    }

    #[test]
    fn missing_folders_are_named_with_the_fix() {
        let (_folder, paths) = host();
        for folder in [Layout::new(&paths).spool(), paths.state.clone()] {
            fs::remove_dir(&folder).unwrap();
            let error = check(&paths).unwrap_err();
            assert!(matches!(&error, Unfit::Missing { path } if *path == folder), "{error}");
            assert!(error.to_string().contains("systemd-tmpfiles"), "{error}");
            fs::create_dir(&folder).unwrap();
        }
    }

    #[test]
    fn another_users_spool_is_refused() {
        if !geteuid().is_root() {
            return; // only root can give a folder away
        }
        let (_folder, paths) = host();
        let spool = Layout::new(&paths).spool();
        std::os::unix::fs::chown(&spool, Some(4711), None).unwrap();
        let error = check(&paths).unwrap_err();
        assert!(matches!(error, Unfit::OtherUser { owner: 4711, us: 0, .. }), "{error}");
    }
}
