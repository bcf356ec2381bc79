//! [`Step`] is one change of users or folders, with a text for reports. Pure.

use std::fmt;

use super::host::Ownership;
use crate::account::AccountId;

/// One change of users or folders. A change can be repeated after an interruption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Creates or fixes the folder that contains the chroots of all accounts.
    Root(Ownership),
    /// Creates or fixes the spool.
    Spool(Ownership),
    /// Creates a group with the name of the account.
    AddGroup {
        account: AccountId,
        gid: u32,
    },
    /// Creates a Unix user with the name of the account. The user's group has the same id.
    AddUser {
        account: AccountId,
        uid: u32,
    },
    /// Sets the login shell of the account's Unix user.
    FixUser(AccountId),
    /// Adds the accounts' Unix users to the group that sshd_config matches.
    AddMembers(Vec<AccountId>),
    /// Creates the chroot of an account. The chroot is complete before it gets its name.
    AddFolders {
        account: AccountId,
        want: RequiredFolders,
    },
    /// Creates missing folders in the account's chroot, and fixes the owners and modes of the other
    /// folders.
    FixFolders {
        account: AccountId,
        want: RequiredFolders,
    },
    /// Ends every process of an account's Unix user.
    EndSessions {
        uid: u32,
    },
    /// Removes the account's chroot and its content.
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
                [one] => write!(f, "user {one} added to the group"),
                many => write!(f, "{} users added to the group", many.len()),
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

/// The owners and modes that the folders of an account must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequiredFolders {
    /// The chroot, which root owns, because sshd accepts no other owner (sshd_config(5),
    /// ChrootDirectory).
    pub chroot: Ownership,
    /// The folder incoming. The account can write into the folder but can't change its mode.
    pub incoming: Ownership,
    /// The folder results. The account can read the folder.
    pub results: Ownership,
    /// The folder of the socket to which the account's sessions log. The account can't write into
    /// it.
    pub dev: Ownership,
}
