//! What can go wrong with a store: each variant names the operation, with its path.

use std::io;
use std::path::PathBuf;

use parquet::errors::ParquetError;

use crate::files::error::{IoError, is_disk_full};
use crate::import_id::ImportId;

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder operation failed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// Events can't be encoded or written.
    #[error("cannot write events to {}", path.display())]
    WriteEvents {
        /// The Parquet file.
        path: PathBuf,
        /// Why.
        source: ParquetError,
    },
    /// The footer of an events file written earlier can't be read.
    #[error("cannot read how many events {} holds", path.display())]
    CountEvents {
        /// The Parquet file.
        path: PathBuf,
        /// Why.
        source: ParquetError,
    },
    /// SQLite refused.
    #[error("cannot {operation} in {}", path.display())]
    Profiles {
        /// What was tried: `look up ids`, `commit`, …
        operation: &'static str,
        /// The profiles database.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// A stored profile is not what this program writes.
    #[error("profile {id} in {} has properties that are not a JSON object", path.display())]
    Properties {
        /// The profiles database.
        path: PathBuf,
        /// `profile.id`.
        id: i64,
        /// Why.
        source: serde_json::Error,
    },
    /// A newer program has been here.
    #[error(
        "{} has schema {found}, this program knows up to {known}; install the newer version again",
        path.display()
    )]
    Newer {
        /// The profiles database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// No thread to write on.
    #[error("cannot start a thread to write on")]
    Thread {
        /// Why.
        source: io::Error,
    },
    /// A write failed, its error was returned, and the caller went on.
    #[error("an earlier write of this import failed")]
    FailedBefore,
    /// The caller began with one schema and pushed a batch of another.
    #[error("a batch of {import} is not of the schema that it began with")]
    Mismatch {
        /// The import.
        import: ImportId,
    },
}

impl Error {
    /// Whether the disk, or the daemon's share of it, is full.
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

    /// Names the operation and the path of an I/O error; made for `map_err`.
    pub(super) fn io(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let of = IoError::of(operation, path);
        move |error| Self::Io(of(error))
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn knows_a_full_disk_by_each_of_its_names() {
        let full = || io::Error::from(ErrorKind::StorageFull);
        let path = PathBuf::from("x");
        let sqlite = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
        for error in [
            IoError::of("create", "x")(full()).into(),
            Error::WriteEvents { path: path.clone(), source: full().into() },
            Error::Profiles {
                operation: "commit",
                path: path.clone(),
                source: rusqlite::Error::SqliteFailure(sqlite, None),
            },
        ] {
            assert!(error.is_disk_full(), "{error}");
        }
        assert!(!IoError::of("create", "x")(ErrorKind::NotFound.into()).is_disk_full());
    }
}
