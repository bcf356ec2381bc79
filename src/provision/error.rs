//! [`ProvisionError`] and [`Refusal`].

use crate::account::AccountId;
use crate::files::IoError;
use crate::registry;

/// Why nothing is done for an account: a step would change something that we did not create.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the Unix user {account} (id {uid}) exists and is not one of ours")]
    User { account: AccountId, uid: u32 },
    #[error("the Unix group {account} (id {gid}) exists and is not one of ours")]
    Group { account: AccountId, gid: u32 },
    /// Another user or group has the id that the registry has for the account.
    #[error("the Unix id {uid} promised to account {account} is in use under another name")]
    Id { account: AccountId, uid: u32 },
    #[error(
        "the Unix id {uid} of account {account} is not from accounts.first-uid to \
         accounts.last-uid"
    )]
    Range { account: AccountId, uid: u32 },
    #[error("the path of the folder of account {0} is not a folder")]
    Folder(AccountId),
}

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
