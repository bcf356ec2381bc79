//! [`Step`]: one thing to do to users or folders, and the words for what was done (pure).

use std::fmt;

use super::host::Owned;
use crate::account::AccountId;

/// One thing to do. Each can be done again after it was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make the folder of all accounts, or mend it.
    Root(Owned),
    /// Make the spool, or mend it.
    Spool(Owned),
    /// Make the account's group.
    AddGroup {
        /// Whose; the group has the same name.
        account: AccountId,
        /// Its id.
        gid: u32,
    },
    /// Make the account's Unix user.
    AddUser {
        /// Whose; the user has the same name.
        account: AccountId,
        /// Its id, and its group's.
        uid: u32,
    },
    /// Give the account's Unix user its shell again.
    MendUser(AccountId),
    /// Put the accounts' Unix users into the group that sshd_config matches.
    AddMembers(Vec<AccountId>),
    /// Make the account's chroot with all that is in it, complete from its first moment.
    AddFolders {
        /// Whose.
        account: AccountId,
        /// How they should be.
        want: Wanted,
    },
    /// Make what is missing in the account's chroot and mend what is there.
    MendFolders {
        /// Whose.
        account: AccountId,
        /// How they should be.
        want: Wanted,
    },
    /// End every process of the account's Unix user.
    EndSessions {
        /// The user's id.
        uid: u32,
    },
    /// Take the account's chroot away with all that is in it.
    RemoveFolders(AccountId),
    /// Take the account's Unix user away.
    RemoveUser(AccountId),
    /// Take the account's group away.
    RemoveGroup(AccountId),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(_) => f.write_str("folder of all accounts made or mended"),
            Self::Spool(_) => f.write_str("spool made or mended"),
            Self::AddGroup { account, gid } => write!(f, "group {account} (id {gid}) made"),
            Self::AddUser { account, uid } => write!(f, "user {account} (id {uid}) made"),
            Self::MendUser(account) => write!(f, "user {account} mended"),
            Self::AddMembers(accounts) => match accounts.as_slice() {
                [one] => write!(f, "user {one} made a member"),
                many => write!(f, "{} users made members", many.len()),
            },
            Self::AddFolders { account, .. } => write!(f, "folders of {account} made"),
            Self::MendFolders { account, .. } => write!(f, "folders of {account} mended"),
            Self::EndSessions { uid } => write!(f, "sessions of user id {uid} ended"),
            Self::RemoveFolders(account) => write!(f, "folders of {account} removed"),
            Self::RemoveUser(account) => write!(f, "user {account} removed"),
            Self::RemoveGroup(account) => write!(f, "group {account} removed"),
        }
    }
}

/// How the folders of an account should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The chroot: root's, for sshd accepts no other (sshd_config(5), ChrootDirectory).
    pub chroot: Owned,
    /// incoming: the account may write into it but not change its mode.
    pub incoming: Owned,
    /// results: the account may read.
    pub results: Owned,
    /// dev: holds the socket that its sessions log to; the account may not write into it.
    pub dev: Owned,
}
