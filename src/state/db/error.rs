//! What can go wrong with the state database: each says what to do next, where that is known.

use std::io;
use std::path::PathBuf;

use super::backup::CopyError;
use super::connection::Damage;

/// What went wrong with the state database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be opened or is not a database.
    #[error("cannot open the state database {}", path.display())]
    Open {
        /// The database file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The file can't be created, or is no file that may be opened.
    #[error("cannot create or open the state database {}", path.display())]
    Create {
        /// The database file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// This command can't act as the owner of the database's folder.
    #[error("cannot use the state database {} as the owner of its folder", path.display())]
    Owner {
        /// The database file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A newer program has been here.
    #[error(
        "the state database {} has schema {found}, this program knows up to {known}: install the \
         newer version again, or put back what was copied before the upgrade, with \
         `sftp-import restore {}`", path.display(), older.display()
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
        /// The newest copy that this program could restore, or what such copies are called.
        older: PathBuf,
    },
    /// The copy that comes before an upgrade can't be made; the database is as it was.
    #[error("cannot copy the state database before its schema is brought forward")]
    Copy(#[from] CopyError),
    /// What it holds is not what was written.
    #[error(
        "the state database {0} is damaged; nothing was changed. `sftp-import restore` a backup of it, \
         or save what can be read with `sqlite3 {0} .recover | sqlite3 recovered.db`", path.display()
    )]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// How that was seen.
        source: Damage,
    },
    /// It is empty, and was not.
    #[error(
        "the state database {} is missing or empty, but {} is there: it was lost. Nothing was \
         changed. `sftp-import restore` a backup of it; to begin anew, move the latter away",
        path.display(), witness.display()
    )]
    Lost {
        /// The database file.
        path: PathBuf,
        /// What can't be there without it.
        witness: PathBuf,
    },
    /// It could be opened for reading only.
    #[error("the state database {} cannot be opened for writing", path.display())]
    ReadOnly {
        /// The database file.
        path: PathBuf,
    },
    /// A statement failed.
    #[error("the state database refused a statement")]
    Sql(#[from] rusqlite::Error),
    /// A JSON column holds what its type doesn't know.
    #[error("the state database holds what this program doesn't understand")]
    Json(#[from] serde_json::Error),
    /// A text column holds what its type doesn't know.
    #[error("the state database holds {0}")]
    Value(String),
}

/// This module's results.
pub type Result<T> = std::result::Result<T, Error>;
