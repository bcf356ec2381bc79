//! The errors of the state database. If there is a known next step, the message of the error names
//! it.

use std::path::PathBuf;

use crate::files::IoError;

/// An error of an operation on the state database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database file cannot be opened, or the file is not a database.
    #[error("cannot open the state database {}", path.display())]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error(transparent)]
    Io(#[from] IoError),
    /// A newer version of this program has written the state database.
    #[error(
        "the state database {} has schema {found}, this program knows up to {known}: install the \
         newer version again, or restore the copy from before the upgrade with \
         `sftp-import restore {}`", path.display(), older.display()
    )]
    Newer {
        path: PathBuf,
        found: i64,
        known: i64,
        /// The path of the newest copy of the database that this program can restore, or the name
        /// pattern of such copies.
        older: PathBuf,
    },
    /// The copy of the database before a schema upgrade cannot be made. The database is unchanged.
    #[error("cannot copy the state database before the upgrade of its schema")]
    Backup(#[from] BackupError),
    /// The content of the state database is damaged.
    #[error(
        "the state database {0} is damaged; nothing was changed. Restore a backup with \
         `sftp-import restore FILE`, or save the readable rows with \
         `sqlite3 {0} .recover | sqlite3 recovered.db`", path.display()
    )]
    Damaged { path: PathBuf, source: Damage },
    /// The state database is missing or empty, but other files prove that a database existed.
    #[error(
        "the state database {0} is missing or empty, but {1} exists: an earlier state database was \
         lost. Nothing was changed. Restore a backup with `sftp-import restore FILE`, or move {1} \
         away to start with an empty database", path.display(), witness.display()
    )]
    Lost {
        path: PathBuf,
        /// The path of other data that proves that a state database existed.
        witness: PathBuf,
    },
    #[error("the state database {} cannot be opened for writing", path.display())]
    ReadOnly { path: PathBuf },
    #[error("SQLite error in the state database")]
    Sql(#[from] rusqlite::Error),
    /// A value of a JSON column cannot be parsed as the type of the column.
    #[error("the state database contains JSON that this program cannot parse")]
    Json(#[from] serde_json::Error),
    /// A value of a column cannot be converted to the type of the column.
    #[error("the state database contains {0}")]
    Value(String),
}

/// The result of an operation on the state database.
pub type Result<T> = std::result::Result<T, Error>;

/// The proof that the state database is damaged.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The error of a statement that failed because the database is damaged.
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
    /// The first problem that SQLite's check of the whole database found.
    #[error("{0}")]
    Found(String),
}

/// An error while the state database is copied or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("the file {} exists already, and is not overwritten", .0.display())]
    Exists(PathBuf),
    #[error(transparent)]
    Io(#[from] IoError),
    #[error("cannot {operation} {}", path.display())]
    Sql { operation: &'static str, path: PathBuf, source: rusqlite::Error },
    #[error("the database {} is damaged: {problem}", path.display())]
    Damaged {
        path: PathBuf,
        /// The first problem that SQLite found in the copy.
        problem: String,
    },
    #[error("the file {} is not a state database of sftp-import", .0.display())]
    NotStateDatabase(PathBuf),
    /// A newer version of this program has written the copy.
    #[error(
        "the database {} has schema {found}, this program knows up to {known}; restore it with the \
         version that wrote it",
        path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("another process has the database {} open", .0.display())]
    InUse(PathBuf),
}
