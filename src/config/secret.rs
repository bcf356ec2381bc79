//! Files that hold secrets, and who can read them.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Config;

/// Why a secret is not one.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Its file can't be looked at.
    #[error("cannot look at {}, which [mail] password-file names", path.display())]
    Look {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its file's mode lets everybody read it.
    #[error("{} holds a password and can be read by everybody", .0.display())]
    Exposed(PathBuf),
}

impl SecretError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Look { .. } => {
                "write the password on its first line, or name another file".into()
            }
            Self::Exposed(path) => format!("chmod 0640 {}", path.display()),
        }
    }
}

impl Config {
    /// Whether the files with secrets that the configuration names can be read by everybody here.
    ///
    /// # Errors
    /// The first that can, or that is not there.
    pub fn check_secrets(&self) -> Result<(), SecretError> {
        self.mail.password_file.as_deref().map_or(Ok(()), check)
    }
}

fn check(path: &Path) -> Result<(), SecretError> {
    let looked = std::fs::metadata(path);
    let metadata = looked.map_err(|source| SecretError::Look { path: path.to_owned(), source })?;
    if metadata.mode() & 0o004 != 0 {
        return Err(SecretError::Exposed(path.to_owned()));
    }
    Ok(())
}
