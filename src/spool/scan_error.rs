//! [`ScanError`]: why incoming, or a file in it, could not be looked at.

use std::io;
use std::path::PathBuf;

use crate::files::dir::FolderError;
use crate::sys::LeaseError;

/// Why incoming, or one file in it, could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// incoming itself can't be opened.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// incoming can't be listed.
    #[error("cannot list {}", path.display())]
    List {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file can't be opened; see [`super::opener::Access`] for what each error means.
    #[error("cannot open {name:?} in {}", path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// The file's name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A file can't be read.
    #[error("cannot read {name:?} in {}", path.display())]
    Read {
        /// The folder.
        path: PathBuf,
        /// The file's name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// Nobody can tell whether a file is still being written.
    #[error("cannot tell whether {name:?} in {} is being written", path.display())]
    Lease {
        /// The folder.
        path: PathBuf,
        /// The file's name.
        name: String,
        /// Why.
        source: LeaseError,
    },
}
