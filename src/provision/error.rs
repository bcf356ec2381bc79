//! [`ProvisionError`].

use super::plan::Refusal;
use crate::files::IoError;
use crate::registry;

pub type Result<T, E = ProvisionError> = std::result::Result<T, E>;

/// Why users and folders could not be made as the registry lists them.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The group or user that the package creates is missing. `kind` is `group` or `user`.
    #[error("this host has no {kind} {name}")]
    NotInstalled { kind: &'static str, name: String },
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(
        "no Unix user id is free from {first} to {last} (accounts.first-uid, accounts.last-uid)"
    )]
    NoFreeUid { first: u32, last: u32 },
    /// useradd(8) or another tool of its family failed. `name` is the user or group.
    #[error("{tool} failed for {name}: {message}")]
    Tool { tool: &'static str, name: String, message: String },
    #[error(transparent)]
    Io(#[from] IoError),
    /// Processes have survived SIGKILL.
    #[error("processes of Unix user id {0} do not end")]
    Sessions(u32),
    #[error(transparent)]
    Registry(#[from] registry::Error),
}

impl ProvisionError {
    /// Returns what the administrator can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotInstalled { .. } => {
                Some("`systemd-sysusers sftp-import.conf` creates it, as the package does")
            }
            Self::Refused(Refusal::Folder(_)) => Some("move it away"),
            Self::Refused(Refusal::Range { .. }) => {
                Some("if it is to be an account's, widen the range in the configuration")
            }
            Self::Refused(_) => Some("choose another account id, or remove what has that name"),
            Self::NoFreeUid { .. } => Some("widen the range in the configuration"),
            _ => None,
        }
    }
}
