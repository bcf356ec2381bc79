//! The error of a file operation.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

/// An operation on a file or folder failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}", path.display())]
pub struct IoError {
    /// A verb: `create`, `rename`, `set the mode of`.
    pub operation: &'static str,
    pub path: PathBuf,
    pub source: io::Error,
}

impl IoError {
    /// Names the operation and the path of an I/O error; made for `map_err`.
    pub fn of(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self { operation, path, source }
    }

    /// Returns whether the disk, or the process's share of it, is full.
    pub fn is_disk_full(&self) -> bool {
        is_disk_full(&self.source)
    }
}

/// Returns whether `error` means that the disk, or the process's share of it, is full.
pub fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}
