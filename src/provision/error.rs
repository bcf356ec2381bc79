//! [`ProvisionError`] and [`Refusal`], the errors of provisioning.

use crate::account::AccountId;
use crate::files::IoError;
use crate::registry;

/// The reason why provisioning makes no changes for an account. A change would affect a user,
/// group or folder that this program did not create.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the Unix user {account} (id {uid}) exists, but sftp-import did not create it")]
    User { account: AccountId, uid: u32 },
    #[error("the Unix group {account} (id {gid}) exists, but sftp-import did not create it")]
    Group { account: AccountId, gid: u32 },
    /// Another user or group has the id that the registry assigned to the account.
    #[error("the Unix id {uid} of account {account} belongs to another user or group")]
    Id { account: AccountId, uid: u32 },
    #[error(
        "the Unix id {uid} of account {account} is outside the range accounts.first-uid to \
         accounts.last-uid"
    )]
    Range { account: AccountId, uid: u32 },
    #[error("the path of account {0}'s folder exists, but is not a folder")]
    Folder(AccountId),
}

pub type Result<T, E = ProvisionError> = std::result::Result<T, E>;

/// The reason why the users and folders do not match the registry.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The group or user that the package creates is missing. `kind` is `group` or `user`.
    #[error("this host has no {kind} {name}")]
    NotInstalled { kind: &'static str, name: String },
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("all Unix user ids from {first} to {last} are in use (accounts.first-uid, last-uid)")]
    NoFreeUid { first: u32, last: u32 },
    /// useradd(8) or a related tool failed. `name` is the name of the user or group.
    #[error("{tool} failed for {name}: {message}")]
    Tool { tool: &'static str, name: String, message: String },
    #[error(transparent)]
    Io(#[from] IoError),
    /// The processes of the user id are still running after SIGKILL.
    #[error("cannot end all processes of Unix user id {0}")]
    Sessions(u32),
    #[error(transparent)]
    Registry(#[from] registry::Error),
}

impl ProvisionError {
    /// Returns a hint that helps the administrator to fix the error.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotInstalled { .. } => Some(
                "run `systemd-sysusers sftp-import.conf`, which creates the missing user or group",
            ),
            Self::Refused(Refusal::Folder(_)) => {
                Some("move the file at this path to another folder")
            }
            Self::Refused(Refusal::Range { .. }) => {
                Some("to use this id, widen the range of ids in the configuration")
            }
            Self::Refused(_) => Some("choose another account id, or remove the user and group"),
            Self::NoFreeUid { .. } => Some("widen the range of ids in the configuration"),
            _ => None,
        }
    }
}
