//! [`Step`] is one change of users or folders, with a text for reports. Pure.

use std::fmt;

use super::host::Ownership;
use crate::account::AccountId;

/// One change of Unix users or folders. After an interruption, a change can be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The step creates or fixes the folder that contains the chroots of all accounts.
    Root(Ownership),
    /// The step creates or fixes the spool.
    Spool(Ownership),
    /// The step creates a Unix group with the name of the account.
    AddGroup {
        account: AccountId,
        gid: u32,
    },
    /// The step creates a Unix user with the name of the account. The user's group has the same
    /// id.
    AddUser {
        account: AccountId,
        uid: u32,
    },
    /// The step sets the login shell of the account's Unix user.
    FixUser(AccountId),
    /// The step adds the accounts' Unix users to the group that sshd_config matches.
    AddMembers(Vec<AccountId>),
    /// The step creates the chroot of an account. The chroot is complete before it gets its name.
    AddFolders {
        account: AccountId,
        want: RequiredFolders,
    },
    /// The step creates missing folders in the account's chroot, and fixes the owners and modes of
    /// the other folders.
    FixFolders {
        account: AccountId,
        want: RequiredFolders,
    },
    /// The step ends every process of an account's Unix user.
    EndSessions {
        uid: u32,
    },
    /// The step removes the account's chroot and its content.
    RemoveFolders(AccountId),
    RemoveUser(AccountId),
    RemoveGroup(AccountId),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(_) => f.write_str("the folder of all accounts was created or fixed"),
            Self::Spool(_) => f.write_str("the spool folder was created or fixed"),
            Self::AddGroup { account, gid } => {
                write!(f, "the group {account} (id {gid}) was created")
            }
            Self::AddUser { account, uid } => {
                write!(f, "the user {account} (id {uid}) was created")
            }
            Self::FixUser(account) => write!(f, "the user {account} was fixed"),
            Self::AddMembers(accounts) => match accounts.as_slice() {
                [one] => write!(f, "the user {one} was added to the group"),
                many => write!(f, "{} users were added to the group", many.len()),
            },
            Self::AddFolders { account, .. } => write!(f, "the folders of {account} were created"),
            Self::FixFolders { account, .. } => write!(f, "the folders of {account} were fixed"),
            Self::EndSessions { uid } => write!(f, "the sessions of user id {uid} were ended"),
            Self::RemoveFolders(account) => write!(f, "the folders of {account} were removed"),
            Self::RemoveUser(account) => write!(f, "the user {account} was removed"),
            Self::RemoveGroup(account) => write!(f, "the group {account} was removed"),
        }
    }
}

/// The owners and modes that the folders of an account must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequiredFolders {
    /// The owner and the mode of the chroot. root owns the chroot, because sshd accepts no other
    /// owner (sshd_config(5), ChrootDirectory).
    pub chroot: Ownership,
    /// The owner and the mode of the folder incoming. The account can write into the folder but
    /// cannot change its mode.
    pub incoming: Ownership,
    /// The owner and the mode of the folder results. The account can read the folder.
    pub results: Ownership,
    /// The owner and the mode of the folder with the log socket of the account's sessions. The
    /// account cannot write into the folder.
    pub dev: Ownership,
}
