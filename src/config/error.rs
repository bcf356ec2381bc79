//! What is wrong with a configuration.

use std::io;
use std::path::PathBuf;

/// What is wrong with a configuration, and where.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file isn't TOML, or has an unknown key or a value of the wrong kind.
    #[error("{}: {message}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// With line, column and the line itself.
        message: String,
    },
    /// A value that can't work.
    #[error("{key} {problem}")]
    Value {
        /// Section and key, `section.key`.
        key: &'static str,
        /// What is wrong with it, to be read after the key.
        problem: String,
    },
}
