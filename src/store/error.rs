//! The errors of the store. Each error names the operation and the path.

use std::io;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;

use crate::files::error::{IoError, is_disk_full};

/// The reason why an operation of the store failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An operation on a file or folder failed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// Events cannot be encoded or written to a file.
    #[error("cannot write events to {}", path.display())]
    WriteEvents { path: PathBuf, source: ParquetError },
    /// The footer of a committed events file cannot be read.
    #[error("cannot read the number of events in {}", path.display())]
    CountEvents { path: PathBuf, source: ParquetError },
    /// SQLite returned an error for a database of profiles.
    #[error("cannot {operation} in {}", path.display())]
    Profiles {
        /// The operation as a verb phrase that completes "cannot …", such as `look up ids` or
        /// `commit`.
        operation: &'static str,
        path: PathBuf,
        source: rusqlite::Error,
    },
    /// The properties of a stored profile are not a JSON object.
    #[error("profile {id} in {} has properties that are not a JSON object", path.display())]
    Properties {
        path: PathBuf,
        /// The id of the stored profile.
        id: i64,
        source: serde_json::Error,
    },
    /// A newer version of the program has migrated the database of profiles.
    #[error(
        "the database {} has schema {found}, this program knows up to {known}; install the newer \
         version again",
        path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    /// A thread of the store cannot be started.
    #[error("cannot start a thread")]
    Thread { source: io::Error },
    /// The caller continued to use a writer after an error.
    #[error("an earlier write of this import failed")]
    FailedBefore,
    /// The batch does not have the schema with which the import began.
    #[error("a batch does not have the schema of its import")]
    Mismatch,
}

impl Error {
    /// Returns whether the error means that the disk is full, or the disk quota of the daemon's
    /// user.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Io(error) => error.is_disk_full(),
            Self::WriteEvents { source: ParquetError::External(source), .. } => {
                source.downcast_ref().is_some_and(is_disk_full)
            }
            Self::Profiles { source, .. } => {
                source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
            }
            _ => false,
        }
    }

    /// Returns a function for `map_err` that wraps an error of the SQLite database at `path`.
    pub(super) fn sqlite(
        operation: &'static str,
        path: &Path,
    ) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Self::Profiles { operation, path: path.to_owned(), source }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn a_full_disk_is_recognized_in_each_error() {
        let full = || io::Error::from(ErrorKind::StorageFull);
        let path = PathBuf::from("x");
        let sqlite = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
        for error in [
            IoError::new("create", "x", full()).into(),
            Error::WriteEvents { path: path.clone(), source: full().into() },
            Error::Profiles {
                operation: "commit",
                path: path.clone(),
                source: rusqlite::Error::SqliteFailure(sqlite, None),
            },
        ] {
            assert!(error.is_disk_full(), "{error}");
        }
        assert!(!IoError::new("create", "x", io::Error::from(ErrorKind::NotFound)).is_disk_full());
    }
}
