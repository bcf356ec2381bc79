//! Keys: added, revoked, published.
//!
//! A key that is in the state database has passed [`parse`]: it is of a kind sshd takes, strong
//! enough, and written in one way. What is in the state database counts for sshd only after
//! [`publish()`], so whoever changes keys or accounts publishes before saying that it is done.

mod folder;
mod fresh;
mod limits;
pub mod parse;
mod publish;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

pub use folder::GROUP;
pub use fresh::{Difference, difference};
pub use limits::{InvalidExpiry, InvalidFrom, expiry, from_hosts};
pub use parse::PublicKey;
pub use publish::{PublishError, publish};

use crate::account::AccountId;
use crate::printable::is_unprintable;
use crate::state::Transaction;
use crate::state::{self, accounts, keys};
use accounts::AccountState;
use keys::KeyRow;

/// The longest name of a key, in characters.
const MAX_NAME: usize = 64;

/// Why a key was not added or not revoked. Nothing is changed then.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No such account.
    #[error("there is no account {0}")]
    NoAccount(AccountId),
    /// The account is on its way out.
    #[error("the account {0} is being removed")]
    Removing(AccountId),
    /// The name can't be a key's.
    #[error("a key's name {0}")]
    Name(&'static str),
    /// The account has a key of that name.
    #[error("the account {account} has a key named {name:?} already")]
    NameTaken {
        /// Whose.
        account: AccountId,
        /// The name.
        name: String,
    },
    /// The account has that very key.
    #[error("the account {account} has this key already: it is the one named {name:?}")]
    Duplicate {
        /// Whose.
        account: AccountId,
        /// The name it has.
        name: String,
    },
    /// No such key.
    #[error("the account {account} has no key {key:?}")]
    NoKey {
        /// Whose.
        account: AccountId,
        /// Name or fingerprint asked for.
        key: String,
    },
    /// The state database failed.
    #[error(transparent)]
    State(#[from] state::Error),
}

/// Where and until when a key may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyLimits {
    /// From [`from_hosts`]; none: from anywhere.
    pub from: Option<String>,
    /// From [`expiry`]; none: for ever.
    pub expires_at: Option<Timestamp>,
}

/// Adds `key` to `account` under `name`.
///
/// # Errors
/// The account is not there or going, or the name or the key is taken in it.
pub fn add(
    tx: &Transaction<'_>,
    at: Timestamp,
    account: &AccountId,
    name: &str,
    key: &PublicKey,
    limits: KeyLimits,
) -> Result<KeyRow, KeyError> {
    check_new(tx, account, name, key)?;
    let row = KeyRow {
        account: account.clone(),
        name: name.to_owned(),
        algorithm: key.algorithm().to_owned(),
        public_key: key.base64().to_owned(),
        fingerprint: key.fingerprint(),
        from: limits.from,
        expires_at: limits.expires_at,
        created_at: at,
        revoked_at: None,
        last_used_at: None,
        last_used_from: None,
    };
    keys::add(tx, &row)?;
    Ok(row)
}

/// Whether `key` could be added to `account` under `name`: what [`add`] asks first.
///
/// # Errors
/// As [`add`].
pub fn check_new(
    tx: &Transaction<'_>,
    account: &AccountId,
    name: &str,
    key: &PublicKey,
) -> Result<(), KeyError> {
    check_name(name)?;
    check_account(tx, account)?;
    let fingerprint = key.fingerprint();
    let of_account = keys::list(tx, Some(account), false)?;
    if let Some(same) = of_account.iter().find(|row| row.fingerprint == fingerprint) {
        let name = same.name.clone();
        return Err(KeyError::Duplicate { account: account.clone(), name });
    }
    if of_account.iter().any(|row| row.name == name) {
        return Err(KeyError::NameTaken { account: account.clone(), name: name.to_owned() });
    }
    Ok(())
}

/// What [`revoke`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// The key as it is now.
    pub key: KeyRow,
    /// It was revoked before this call; publishing again is still right, for the first time may
    /// have been cut off before it.
    pub before: bool,
}

/// Revokes the key of `account` with that name or fingerprint.
///
/// # Errors
/// No such account or key.
pub fn revoke(
    tx: &Transaction<'_>,
    at: Timestamp,
    account: &AccountId,
    name_or_fingerprint: &str,
) -> Result<Revoked, KeyError> {
    if accounts::get(tx, account)?.is_none() {
        return Err(KeyError::NoAccount(account.clone()));
    }
    let Some(mut key) = keys::find(tx, account, name_or_fingerprint)? else {
        let key = name_or_fingerprint.to_owned();
        return Err(KeyError::NoKey { account: account.clone(), key });
    };
    let now = keys::revoke(tx, at, &key)?;
    key.revoked_at = key.revoked_at.or(Some(at));
    Ok(Revoked { key, before: !now })
}

fn check_account(tx: &Transaction<'_>, id: &AccountId) -> Result<(), KeyError> {
    match accounts::get(tx, id)?.map(|account| account.state) {
        None => Err(KeyError::NoAccount(id.clone())),
        Some(AccountState::Removing) => Err(KeyError::Removing(id.clone())),
        Some(AccountState::Active | AccountState::Suspended) => Ok(()),
    }
}

fn check_name(name: &str) -> Result<(), KeyError> {
    if name.trim() != name || name.is_empty() {
        return Err(KeyError::Name("has at least one character, and no space around it"));
    }
    if name.chars().count() > MAX_NAME {
        return Err(KeyError::Name("has at most 64 characters"));
    }
    if name.chars().any(is_unprintable) {
        return Err(KeyError::Name("has printable characters only"));
    }
    if name.starts_with("SHA256:") {
        return Err(KeyError::Name("does not begin with SHA256:, as fingerprints do"));
    }
    Ok(())
}
