//! Checks whether the file system of the accounts supports leases, which a claim needs. On a
//! network file system without leases, every file would seem to have a writer forever.

use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::stat::Mode;

use crate::files::IoError;
use crate::files::dir::{Folder, FolderError};
use crate::spool::layout::Layout;
use crate::sys::{LeaseError, ReadLease};

/// The name in the spool of the file that tests leases. An import cannot have this name, because
/// an import id cannot begin with a dot.
const NAME: &str = ".lease-probe";

/// The reason why claims do not work below the accounts' folder.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Io(#[from] IoError),
    /// The kernel refuses a lease on a file that no process has open for writing.
    #[error(
        "the file system of {} does not support leases, which the daemon needs to detect the end of \
         an upload; the accounts' folder must be on a local file system, such as ext4 or xfs",
        path.display()
    )]
    NoLeases { path: PathBuf, source: LeaseError },
}

/// Checks that the kernel grants a lease on a new file in the spool.
pub fn check_leases(layout: &Layout) -> Result<(), ProbeError> {
    let spool = Folder::open(&layout.spool())?;
    let failed = |operation, errno: Errno| IoError::new(operation, spool.path().join(NAME), errno);
    drop(spool.create(NAME, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|e| failed("create", e))?);
    let lease = ReadLease::take(spool.read(NAME).map_err(|e| failed("open", e))?);
    spool.remove(NAME).map_err(|e| failed("remove", e))?;
    match lease {
        Ok(_) => Ok(()),
        Err(source) => Err(ProbeError::NoLeases { path: spool.path().to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::test_host::TestHost;

    #[test]
    fn local_file_system_supports_leases() {
        let host = TestHost::new();
        // A child process that another test forked holds the file handle until its exec.
        while check_leases(&host.layout).is_err() {
            std::thread::yield_now();
        }
        assert!(std::fs::read_dir(host.layout.spool()).unwrap().next().is_none());
        std::fs::remove_dir(host.layout.spool()).unwrap();
        assert!(matches!(check_leases(&host.layout), Err(ProbeError::Folder(_))));
    }
}
