//! [`ScanError`]: why incoming, or a file in it, could not be scanned.

use std::io;
use std::path::PathBuf;

use crate::files::dir::FolderError;
use crate::sys::LeaseError;

/// Why incoming, or one file in it, could not be scanned.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("cannot list {}", path.display())]
    List { path: PathBuf, source: io::Error },
    /// See [`super::opener::Access`] for the meaning of each error.
    #[error("cannot open {name:?} in {}", path.display())]
    Open { path: PathBuf, name: String, source: io::Error },
    #[error("cannot read {name:?} in {}", path.display())]
    Read { path: PathBuf, name: String, source: io::Error },
    /// The lease could not be requested.
    #[error("cannot check whether {name:?} in {} is being written", path.display())]
    Lease { path: PathBuf, name: String, source: LeaseError },
}
