//! Keys: added, revoked, published.
//!
//! A key that is in the registry has passed [`parse`]: it is of a kind sshd takes, strong enough, and
//! written in one way. What is in the registry counts for sshd only after [`publish()`], so whoever
//! changes keys or accounts publishes before saying that it is done.

mod folder;
pub mod parse;
mod publish;
mod published_diff;
mod restrictions;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

pub use folder::GROUP;
pub use parse::PublicKey;
pub use publish::{PublishError, publish};
pub use published_diff::{Difference, are_any_published, difference};
pub use restrictions::{InvalidExpiry, InvalidFrom, expiry, from_hosts};

use crate::account::AccountId;
use crate::account_state::AccountState;
use crate::registry::{self, ApprovedKey, Transaction, accounts, keys};
use crate::sanitize::is_unprintable;

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
    /// The account had that very key, and it was revoked.
    #[error("this key of account {account}, named {name:?} then, was revoked at {at}")]
    RevokedBefore {
        /// Whose.
        account: AccountId,
        /// The name it had.
        name: String,
        /// When it was revoked.
        at: Timestamp,
    },
    /// No such key.
    #[error("the account {account} has no key {key:?}")]
    NoKey {
        /// Whose.
        account: AccountId,
        /// Name or fingerprint asked for.
        key: String,
    },
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] registry::Error),
}

/// Where and until when a key may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyLimits {
    /// From [`from_hosts`]; none: from anywhere.
    pub from: Option<String>,
    /// From [`expiry`]; none: for ever.
    pub expires_at: Option<Timestamp>,
}

/// A key to be added to an account.
#[derive(Clone, Debug)]
pub struct NewKey<'a> {
    /// What the account calls it.
    pub name: &'a str,
    /// The key.
    pub key: &'a PublicKey,
    /// Where and until when it may be used.
    pub limits: KeyLimits,
    /// It may be one that this account had and that was revoked.
    pub again: bool,
}

/// Adds a key to `account`.
///
/// # Errors
/// The account is not there or going, the name or the key is taken in it, or the key was revoked.
pub fn add(
    tx: &Transaction<'_>,
    at: Timestamp,
    account: &AccountId,
    new: NewKey<'_>,
) -> Result<(), KeyError> {
    check_new(tx, account, &new)?;
    let NewKey { name, key, limits, .. } = new;
    let approved = ApprovedKey {
        account: account.clone(),
        name: name.to_owned(),
        algorithm: key.algorithm().to_owned(),
        public_key: key.base64().to_owned(),
        fingerprint: key.fingerprint(),
        from: limits.from,
        expires_at: limits.expires_at,
        approved_at: at,
        revoked_at: None,
    };
    Ok(keys::add(tx, &approved)?)
}

/// Whether the key could be added to `account`: what [`add`] asks first.
///
/// # Errors
/// As [`add`].
pub fn check_new(
    tx: &Transaction<'_>,
    account: &AccountId,
    new: &NewKey<'_>,
) -> Result<(), KeyError> {
    check_name(new.name)?;
    check_account(tx, account)?;
    let fingerprint = new.key.fingerprint();
    let of_account = keys::list(tx, Some(account), true)?;
    let mut valid = of_account.iter().filter(|key| key.revoked_at.is_none());
    if let Some(same) = valid.clone().find(|key| key.fingerprint == fingerprint) {
        let name = same.name.clone();
        return Err(KeyError::Duplicate { account: account.clone(), name });
    }
    if valid.any(|key| key.name == new.name) {
        return Err(KeyError::NameTaken { account: account.clone(), name: new.name.to_owned() });
    }
    let same = of_account.iter().filter(|key| key.fingerprint == fingerprint);
    match same.filter_map(|key| Some((key.revoked_at?, key))).max_by_key(|(at, _)| *at) {
        Some((at, key)) if !new.again => {
            Err(KeyError::RevokedBefore { account: account.clone(), name: key.name.clone(), at })
        }
        _ => Ok(()),
    }
}

/// What [`revoke`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// The key as it is now.
    pub key: ApprovedKey,
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
    let now = keys::revoke(tx, at, account, &key.fingerprint)?;
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

/// Whether a key can have that name.
///
/// # Errors
/// What such a name must be.
pub fn check_name(name: &str) -> Result<(), KeyError> {
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
