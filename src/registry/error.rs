//! Why the registry could not be read or changed.

use std::io;
use std::path::{Path, PathBuf};

use crate::files::private::NotPrivate;

/// What an operation on the registry returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the registry could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none.
    #[error("there is no registry {}: no key and no account can be changed without it", .0.display())]
    Missing(PathBuf),
    /// Others than root could have written it.
    #[error(transparent)]
    NotPrivate(#[from] NotPrivate),
    /// A link or something else has its name.
    #[error("{} is not a regular file; move it away", .0.display())]
    NotAFile(PathBuf),
    /// Another version of the program wrote it.
    #[error("{} has schema {found}, this program knows {known}", path.display())]
    Version {
        /// The registry.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A file or folder operation failed.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// SQLite refused a statement.
    #[error("the registry refused a statement")]
    Sql(#[from] rusqlite::Error),
    /// A value that no version of ours writes.
    #[error("the registry holds {0}, which no version writes")]
    Value(String),
}

impl Error {
    pub(super) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { operation, path, source }
    }
}
