//! Adds, revokes and publishes keys.
//!
//! Invariant: every key in the registry has passed [`parse`]. The key has an algorithm that sshd
//! accepts, is strong enough, and is written in canonical form. sshd uses a changed registry only
//! after [`publish()`]. Therefore a command that changes keys or accounts publishes before it
//! reports success.

mod error;
mod folder;
pub mod parse;
mod publish;
mod published_diff;
mod refusal;
mod restrictions;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

pub use error::{KeyError, PublishError};
pub use folder::GROUP;
pub use parse::PublicKey;
pub use publish::publish;
pub use published_diff::{PublishedDiff, are_any_published, compare_published};
pub use refusal::{RefusalReason, client_address, offered_key, refusal_reason};
pub use restrictions::{
    InvalidExpiry, InvalidFrom, KeyRestrictions, allows_address, parse_expiry, parse_from_hosts,
};

use crate::account::AccountId;
use crate::account_state::AccountState;
use crate::registry::{ApprovedKey, RegistryTransaction, accounts, keys};
use crate::sanitize::is_unprintable;

/// The maximum length of a key's name in characters.
const MAX_NAME: usize = 64;

/// A key that is to be added to an account.
#[derive(Clone, Debug)]
pub struct NewKey<'a> {
    pub name: &'a str,
    pub key: &'a PublicKey,
    pub restrictions: KeyRestrictions,
    /// True if a key may be added that the account had before and that was revoked.
    pub again: bool,
}

/// Adds a key to `account` in the registry.
pub fn add(
    tx: &RegistryTransaction<'_>,
    at: Timestamp,
    account: &AccountId,
    new: NewKey<'_>,
) -> Result<(), KeyError> {
    check_new(tx, account, &new)?;
    let NewKey { name, key, restrictions, .. } = new;
    let approved = ApprovedKey {
        account: account.clone(),
        name: name.to_owned(),
        algorithm: key.algorithm().to_owned(),
        public_key: key.base64().to_owned(),
        fingerprint: key.fingerprint(),
        from: restrictions.from,
        expires_at: restrictions.expires_at,
        approved_at: at,
        revoked_at: None,
    };
    Ok(keys::add(tx, &approved)?)
}

/// Checks that [`add`] would accept the key. Does not change the registry.
pub fn check_new(
    tx: &RegistryTransaction<'_>,
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

/// The key that [`revoke`] revoked, and whether it was revoked before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    pub key: ApprovedKey,
    /// True if the key was already revoked before this call. The caller publishes the keys in this
    /// case too, because a crash may have prevented the first publication.
    pub was_revoked: bool,
}

/// Revokes the key of `account` with the given name or fingerprint in the registry.
pub fn revoke(
    tx: &RegistryTransaction<'_>,
    at: Timestamp,
    account: &AccountId,
    name_or_fingerprint: &str,
) -> Result<Revocation, KeyError> {
    if accounts::get(tx, account)?.is_none() {
        return Err(KeyError::NoAccount(account.clone()));
    }
    let Some(mut key) = keys::find(tx, account, name_or_fingerprint)? else {
        let key = name_or_fingerprint.to_owned();
        return Err(KeyError::NoKey { account: account.clone(), key });
    };
    let revoked_now = keys::revoke(tx, at, account, &key.fingerprint)?;
    key.revoked_at = key.revoked_at.or(Some(at));
    Ok(Revocation { key, was_revoked: !revoked_now })
}

fn check_account(tx: &RegistryTransaction<'_>, id: &AccountId) -> Result<(), KeyError> {
    match accounts::get(tx, id)?.map(|account| account.state) {
        None => Err(KeyError::NoAccount(id.clone())),
        Some(AccountState::Removing) => Err(KeyError::Removing(id.clone())),
        Some(AccountState::Active | AccountState::Suspended) => Ok(()),
    }
}

/// Checks the name of a key. The error contains the rule that `name` breaks.
pub fn check_name(name: &str) -> Result<(), KeyError> {
    if name.trim() != name || name.is_empty() {
        return Err(KeyError::Name("must have at least one character, and no space at either end"));
    }
    if name.chars().count() > MAX_NAME {
        return Err(KeyError::Name("must have at most 64 characters"));
    }
    if name.chars().any(is_unprintable) {
        return Err(KeyError::Name("must contain only printable characters"));
    }
    if name.starts_with("SHA256:") {
        return Err(KeyError::Name("must not begin with SHA256: like a fingerprint"));
    }
    Ok(())
}
