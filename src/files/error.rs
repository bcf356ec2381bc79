//! [`IoError`] is the error of a file operation.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

/// A failed operation on a file or folder.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}", path.display())]
pub struct IoError {
    /// The operation as a verb with its object, such as `create`, `rename` or `set the mode of`.
    pub operation: &'static str,
    pub path: PathBuf,
    pub source: io::Error,
}

impl IoError {
    pub fn new(
        operation: &'static str,
        path: impl Into<PathBuf>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self { operation, path: path.into(), source: source.into() }
    }

    /// Returns a function for `map_err`. The function adds the operation and the path to an error.
    pub fn of<E: Into<io::Error>>(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> Self {
        let path = path.into();
        move |source| Self::new(operation, path, source)
    }

    /// Returns whether the disk or the disk quota of the process is full.
    pub fn is_disk_full(&self) -> bool {
        is_disk_full(&self.source)
    }
}

/// Returns whether the error means that the disk or the disk quota of the process is full.
pub fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}
