//! [`Step`]: one change of users or folders, and the text that reports it (pure).

use std::fmt;

use super::host::Ownership;
use crate::account::AccountId;

/// One change. Each can be repeated after an interruption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Creates or fixes the folder of all accounts.
    Root(Ownership),
    /// Creates or fixes the spool.
    Spool(Ownership),
    /// Creates the group that has the account's name.
    AddGroup {
        account: AccountId,
        gid: u32,
    },
    /// Creates the Unix user that has the account's name. Its group has the same id.
    AddUser {
        account: AccountId,
        uid: u32,
    },
    /// Sets the login shell of the account's Unix user.
    FixUser(AccountId),
    /// Adds the accounts' Unix users to the group that sshd_config matches.
    AddMembers(Vec<AccountId>),
    /// Creates the account's chroot, complete from its first moment.
    AddFolders {
        account: AccountId,
        want: RequiredFolders,
    },
    /// Creates what is missing in the account's chroot and fixes the rest.
    FixFolders {
        account: AccountId,
        want: RequiredFolders,
    },
    /// Ends every process of an account's Unix user.
    EndSessions {
        uid: u32,
    },
    /// Removes the account's chroot with everything in it.
    RemoveFolders(AccountId),
    RemoveUser(AccountId),
    RemoveGroup(AccountId),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(_) => f.write_str("folder of all accounts created or fixed"),
            Self::Spool(_) => f.write_str("spool created or fixed"),
            Self::AddGroup { account, gid } => write!(f, "group {account} (id {gid}) created"),
            Self::AddUser { account, uid } => write!(f, "user {account} (id {uid}) created"),
            Self::FixUser(account) => write!(f, "user {account} fixed"),
            Self::AddMembers(accounts) => match accounts.as_slice() {
                [one] => write!(f, "user {one} made a member"),
                many => write!(f, "{} users made members", many.len()),
            },
            Self::AddFolders { account, .. } => write!(f, "folders of {account} created"),
            Self::FixFolders { account, .. } => write!(f, "folders of {account} fixed"),
            Self::EndSessions { uid } => write!(f, "sessions of user id {uid} ended"),
            Self::RemoveFolders(account) => write!(f, "folders of {account} removed"),
            Self::RemoveUser(account) => write!(f, "user {account} removed"),
            Self::RemoveGroup(account) => write!(f, "group {account} removed"),
        }
    }
}

/// Owners and modes that the folders of an account must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequiredFolders {
    /// Root's, because sshd accepts no other chroot (sshd_config(5), ChrootDirectory).
    pub chroot: Ownership,
    /// The account may write into it but not change its mode.
    pub incoming: Ownership,
    /// The account may read it.
    pub results: Ownership,
    /// Has the socket that the account's sessions log to. The account may not write into it.
    pub dev: Ownership,
}
