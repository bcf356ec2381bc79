//! Errors of the state database. Each message names the next step, where there is one.

use std::path::PathBuf;

use crate::files::IoError;

/// An error of the state database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be opened or is not a database.
    #[error("cannot open the state database {}", path.display())]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error(transparent)]
    Io(#[from] IoError),
    /// A newer version of this program wrote it.
    #[error(
        "the state database {} has schema {found}, this program knows up to {known}: install the \
         newer version again, or restore the copy from before the upgrade with \
         `sftp-import restore {}`", path.display(), older.display()
    )]
    Newer {
        path: PathBuf,
        found: i64,
        known: i64,
        /// The newest copy that this program can restore, or the name pattern of such copies.
        older: PathBuf,
    },
    /// The copy before an upgrade can't be made; the database is unchanged.
    #[error("cannot copy the state database before the upgrade of its schema")]
    Backup(#[from] BackupError),
    /// Its content is damaged.
    #[error(
        "the state database {0} is damaged; nothing was changed. `sftp-import restore` a backup of it, \
         or save what can be read with `sqlite3 {0} .recover | sqlite3 recovered.db`", path.display()
    )]
    Damaged { path: PathBuf, source: Damage },
    /// It is missing or empty, but data shows that it existed.
    #[error(
        "the state database {} is missing or empty, but {} exists: it was lost. Nothing was \
         changed. `sftp-import restore` a backup of it; to start with an empty one, move the latter \
         away", path.display(), witness.display()
    )]
    Lost {
        path: PathBuf,
        /// What can't exist without it.
        witness: PathBuf,
    },
    #[error("the state database {} cannot be opened for writing", path.display())]
    ReadOnly { path: PathBuf },
    #[error("SQLite error in the state database")]
    Sql(#[from] rusqlite::Error),
    /// A JSON column holds something that its type can't be read from.
    #[error("the state database holds a value that this program doesn't understand")]
    Json(#[from] serde_json::Error),
    /// A column holds a value that its type can't be made of.
    #[error("the state database holds {0}")]
    Value(String),
}

/// The result of an operation on the state database.
pub type Result<T> = std::result::Result<T, Error>;

/// The evidence that the database is damaged.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// A statement failed because of it.
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
    /// The first problem that SQLite's check of the whole database found.
    #[error("{0}")]
    Found(String),
}

/// Why the state database can't be copied or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{} exists already, and is not overwritten", .0.display())]
    Exists(PathBuf),
    #[error(transparent)]
    Io(#[from] IoError),
    #[error("cannot {operation} {}", path.display())]
    Sql { operation: &'static str, path: PathBuf, source: rusqlite::Error },
    #[error("{} is damaged: {problem}", path.display())]
    Damaged {
        path: PathBuf,
        /// The first problem that SQLite found.
        problem: String,
    },
    #[error("{} is not a state database of sftp-import", .0.display())]
    NotStateDatabase(PathBuf),
    /// A newer version of this program wrote it.
    #[error(
        "{} has schema {found}, this program knows up to {known}; restore it with the version \
         that wrote it", path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("another process has {} open", .0.display())]
    InUse(PathBuf),
}
