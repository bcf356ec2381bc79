//! [`ConfigError`]: why a configuration is invalid.

use std::io;
use std::path::PathBuf;

/// The reason why a configuration is invalid, and the place.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// The file isn't TOML, or has an unknown key or a value of the wrong type.
    #[error("{}: {message}", path.display())]
    Parse {
        path: PathBuf,
        /// Contains line, column and the line itself.
        message: String,
    },
    /// A value is out of range.
    #[error("{key} {problem}")]
    Value {
        /// `section.key`.
        key: &'static str,
        /// A predicate whose subject is the key.
        problem: String,
    },
}
