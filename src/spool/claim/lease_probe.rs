//! Whether the accounts' file system gives the leases that a claim rests on. Network file systems
//! may not, and then look like a writer who never ends.

use std::io;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::stat::Mode;

use crate::files::dir::{Folder, FolderError};
use crate::spool::layout::Layout;
use crate::sys::{LeaseError, ReadLease};

/// A name in the spool that is no import's.
const NAME: &str = ".lease-probe";

/// Why no claim can be made below the accounts' folder.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The spool is missing or can't be opened.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The file to try with can't be made, opened or removed.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that nobody has open for writing gets no lease.
    #[error(
        "the file system of {} gives no leases, by which the sidecar knows that an upload has \
         ended; the accounts' folder must lie on a local one, such as ext4 or xfs",
        path.display()
    )]
    NoLeases {
        /// The spool.
        path: PathBuf,
        /// What the kernel said.
        source: LeaseError,
    },
}

/// Tries a lease on a file of our own in the spool.
///
/// # Errors
/// There is none, or it can't be tried.
pub fn gives_leases(layout: &Layout) -> Result<(), ProbeError> {
    let spool = Folder::open(&layout.spool())?;
    let failed = |operation, errno: Errno| ProbeError::Io {
        operation,
        path: spool.path().join(NAME),
        source: errno.into(),
    };
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
    fn a_local_file_system_gives_leases_and_nothing_is_left() {
        let host = TestHost::new();
        // A child that another test forks holds our handle until its exec.
        while gives_leases(&host.layout).is_err() {
            std::thread::yield_now();
        }
        assert!(std::fs::read_dir(host.layout.spool()).unwrap().next().is_none());
        std::fs::remove_dir(host.layout.spool()).unwrap();
        assert!(matches!(gives_leases(&host.layout), Err(ProbeError::Folder(_))));
    }
}
