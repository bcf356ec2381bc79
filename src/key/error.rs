//! [`KeyError`] and [`PublishError`] are the errors of changing and publishing keys.

use jiff::Timestamp;

use crate::account::AccountId;
use crate::authorized_keys::trust;
use crate::files::IoError;
use crate::registry;

/// The reason why a key was not added or not revoked. The registry was not changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("there is no account {0}")]
    NoAccount(AccountId),
    #[error("the account {0} is being removed")]
    Removing(AccountId),
    /// The name of the key breaks a rule.
    #[error("a key's name {0}")]
    Name(&'static str),
    #[error("the account {account} already has a key named {name:?}")]
    NameTaken { account: AccountId, name: String },
    /// The account already has the same key, possibly under another name.
    #[error("the account {account} already has this key: its name is {name:?}")]
    Duplicate { account: AccountId, name: String },
    /// The account had the same key before, and the key was revoked.
    #[error("this key of account {account} was revoked at {at}; its name was {name:?}")]
    RevokedBefore { account: AccountId, name: String, at: Timestamp },
    /// The account has no key with the name or fingerprint `key`.
    #[error("the account {account} has no key {key:?}")]
    NoKey { account: AccountId, key: String },
    #[error(transparent)]
    Registry(#[from] registry::Error),
}

/// The reason why the keys could not be published. The previous published keys are still in use.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Io(#[from] IoError),
    /// Another user than root can change the path of the published keys.
    #[error("cannot use the path of the published keys")]
    Untrusted(#[source] trust::Error),
    #[error("cannot write the published keys")]
    Write(#[from] rusqlite::Error),
    #[error("cannot read the published keys")]
    Read(#[source] rusqlite::Error),
    #[error(transparent)]
    Registry(#[from] registry::Error),
}
