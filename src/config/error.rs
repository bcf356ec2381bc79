//! [`ConfigError`] describes why a configuration is invalid.

use std::path::PathBuf;

use crate::files::IoError;

/// The reason why a configuration is invalid, and the file or key.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(transparent)]
    Io(#[from] IoError),
    /// The file is not TOML, contains an unknown key, or contains a value of the wrong type.
    #[error("{}: {message}", path.display())]
    Parse {
        path: PathBuf,
        /// The parser's message, which contains the line number, the column and the invalid line.
        message: String,
    },
    /// The value of a key is out of range.
    #[error("{key} {problem}")]
    Value {
        /// The key of the invalid value, in the form `section.key`.
        key: &'static str,
        /// The problem, as a predicate whose subject is the key.
        problem: String,
    },
}
