//! The errors of operations on the registry.

use std::path::PathBuf;

use crate::files::IoError;
use crate::files::private::NotPrivate;

/// The result of an operation on the registry, with the error type of the registry.
pub type Result<T> = std::result::Result<T, Error>;

/// The reason why the registry could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no registry {}: accounts and keys cannot be changed", .0.display())]
    Missing(PathBuf),
    /// A user other than root could have written to the registry.
    #[error(transparent)]
    NotPrivate(#[from] NotPrivate),
    #[error("the registry {} is not a regular file; move it to another folder", .0.display())]
    NotAFile(PathBuf),
    #[error(
        "the registry {} has schema {found}, but this program supports only schema {known}",
        path.display()
    )]
    Version { path: PathBuf, found: i64, known: i64 },
    #[error(transparent)]
    Io(#[from] IoError),
    #[error("SQLite error in the registry")]
    Sql(#[from] rusqlite::Error),
    /// The registry contains a value that no version of this program writes.
    #[error("the registry contains {0}, which no version of this program writes")]
    Value(String),
}
