//! Checks the host before the daemon starts. A host that can't import is reported with the fix.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::geteuid;

use crate::config::Paths;
use crate::files::IoError;
use crate::spool::Layout;
use crate::state::{InstanceLock, InstanceLockError};

/// How long the previous daemon may take to release the lock. A killed process still exists for a
/// moment.
const PATIENCE: Duration = Duration::from_secs(5);

/// The reason why this process can't be the daemon.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    #[error(
        "there is no folder {}; `systemd-tmpfiles --create sftp-import.conf` makes it, \
         as the package does", path.display()
    )]
    Missing { path: PathBuf },
    #[error(transparent)]
    Io(#[from] IoError),
    /// The daemon was started as another user than the owner of the folder.
    #[error(
        "{} belongs to the user with id {owner}, and this process runs as user {us}; \
         `systemctl start sftp-importd` starts the daemon as the right user", path.display()
    )]
    OtherUser { path: PathBuf, owner: u32, us: u32 },
    /// Two folders are on different file systems. A claim renames files, which needs one file
    /// system.
    #[error("{} and {} must be on one file system", accounts.display(), spool.display())]
    TwoFileSystems { accounts: PathBuf, spool: PathBuf },
}

/// Checks that this process can be the daemon on these folders. Returns the first problem.
pub fn check(paths: &Paths) -> Result<(), PreflightError> {
    let spool = Layout::new(paths).spool();
    let root = folder(&paths.accounts)?;
    let metadata = folder(&spool)?;
    folder(&paths.state)?;
    let us = geteuid().as_raw();
    if metadata.uid() != us {
        return Err(PreflightError::OtherUser { path: spool, owner: metadata.uid(), us });
    }
    if metadata.dev() != root.dev() {
        return Err(PreflightError::TwoFileSystems { accounts: paths.accounts.clone(), spool });
    }
    Ok(())
}

/// Takes the lock that prevents a second daemon on the state folder. Waits for a daemon that is
/// ending.
pub fn take_instance_lock(paths: &Paths) -> Result<InstanceLock, InstanceLockError> {
    InstanceLock::acquire(&paths.state, PATIENCE)
}

fn folder(path: &Path) -> Result<fs::Metadata, PreflightError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(metadata),
        Ok(_) => Err(PreflightError::Missing { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(PreflightError::Missing { path: path.to_owned() })
        }
        Err(source) => Err(IoError::new("examine", path, source).into()),
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
            assert!(
                matches!(&error, PreflightError::Missing { path } if *path == folder),
                "{error}"
            );
            assert!(error.to_string().contains("systemd-tmpfiles"), "{error}");
            fs::create_dir(&folder).unwrap();
        }
    }

    #[test]
    fn a_spool_of_another_user_is_rejected() {
        if !geteuid().is_root() {
            // Only root can change the owner of a folder.
            return;
        }
        let (_folder, paths) = host();
        let spool = Layout::new(&paths).spool();
        std::os::unix::fs::chown(&spool, Some(4711), None).unwrap();
        let error = check(&paths).unwrap_err();
        assert!(matches!(error, PreflightError::OtherUser { owner: 4711, us: 0, .. }), "{error}");
    }
}
