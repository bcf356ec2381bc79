//! Copies accounts and keys into the registry, either from the state database of a version without
//! a registry, or from a backup. This is called a takeover. Keys that root revoked stay revoked.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

use jiff::Timestamp;

use crate::account::AccountId;
use crate::config::Config;
use crate::key::{self, PublicKey};
use crate::registry::backup::AccountsAndKeys;
use crate::registry::{
    self, Account, ApprovedKey, Registry, RegistryTransaction, accounts, backup, keys,
};

/// An account or key that can't be copied into the registry, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakeOverRefusal {
    /// The text that names the account or key in messages.
    pub what: String,
    pub why: String,
}

/// The accounts and keys that can be copied into the registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TakeOver {
    /// The accounts that the registry does not contain.
    pub accounts: Vec<Account>,
    /// The keys that the registry does not contain, including revoked keys.
    pub keys: Vec<ApprovedKey>,
    pub refused: Vec<TakeOverRefusal>,
}

impl TakeOver {
    /// Returns the keys that would be valid after the takeover.
    pub fn valid_keys(&self) -> impl Iterator<Item = &ApprovedKey> {
        self.keys.iter().filter(|key| key.revoked_at.is_none())
    }

    /// Returns true if the takeover adds nothing that root must approve.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.valid_keys().next().is_none()
    }

    /// Writes the accounts and keys into `registry`. Creates a registry if `registry` is `None`.
    pub fn accept(
        &self,
        registry: Option<Registry>,
        config: &Config,
        actor: &str,
        at: Timestamp,
    ) -> registry::Result<Registry> {
        let Some(registry) = registry else {
            return Registry::create(&config.paths.admin, actor, |tx| self.write(tx, at));
        };
        registry.write(|tx| self.write(tx, at))?;
        Ok(registry)
    }

    fn write(&self, tx: &RegistryTransaction<'_>, at: Timestamp) -> registry::Result<()> {
        for account in &self.accounts {
            accounts::add(tx, at, account)?;
        }
        self.keys.iter().try_for_each(|key| keys::add(tx, key))
    }
}

/// Opens the registry of this host if it exists. Decides which of the accounts and keys in `claims`
/// to copy into the registry.
pub fn prepare_take_over(
    config: &Config,
    actor: &str,
    claims: AccountsAndKeys,
) -> registry::Result<(Option<Registry>, TakeOver)> {
    let registry = match Registry::open(&config.paths.admin, actor) {
        Err(registry::Error::Missing(_)) => None,
        opened => Some(opened?),
    };
    let known = registry.as_ref().map(backup::read_registry).transpose()?.unwrap_or_default();
    Ok((registry, decide(claims, &known, &config.accounts.uids())))
}

/// Decides which of the accounts and keys in `claims` can be copied into a registry that contains
/// `known`. This function does no I/O. `uids` is the range of Unix user ids for accounts.
pub(super) fn decide(
    claims: AccountsAndKeys,
    known: &AccountsAndKeys,
    uids: &RangeInclusive<u32>,
) -> TakeOver {
    let mut take_over = TakeOver::default();
    if claims.unreadable > 0 {
        take_over.refuse(
            format!("{} rows", claims.unreadable),
            "these rows contain neither an account nor a key",
        );
    }
    let mut uid_of: HashMap<AccountId, Option<u32>> =
        known.accounts.iter().map(|account| (account.id.clone(), account.uid)).collect();
    let mut used: HashSet<u32> = known.accounts.iter().filter_map(|account| account.uid).collect();
    for account in claims.accounts {
        if uid_of.contains_key(&account.id) {
            continue;
        }
        match account.uid {
            Some(uid) if !uids.contains(&uid) => {
                let why = format!(
                    "the account's Unix user id {uid} is outside the range from accounts.first-uid ({}) \
                     to accounts.last-uid ({})",
                    uids.start(),
                    uids.end()
                );
                take_over.refuse(format!("account {}", account.id), why);
            }
            Some(uid) if !used.insert(uid) => {
                let why = format!("another account has the Unix user id {uid}");
                take_over.refuse(format!("account {}", account.id), why);
            }
            uid => {
                uid_of.insert(account.id.clone(), uid);
                take_over.accounts.push(account);
            }
        }
    }
    let mut valid = ValidKeys::of(&known.keys);
    let revoked_at = revocation_times(&known.keys);
    for key in claims.keys {
        let id = (key.account.clone(), key.fingerprint.clone());
        let what = format!("key {:?} {} of account {}", key.name, key.fingerprint, key.account);
        if !uid_of.contains_key(&key.account) {
            // The key is skipped, because its account was refused.
            continue;
        }
        match revoked_at.get(&id) {
            Some(None) => {}
            Some(Some(at)) if key.revoked_at.is_none() => {
                take_over.refuse(what, format!("the key was revoked at {at}"));
            }
            Some(Some(_)) => {}
            None if !is_valid_key(&key) => take_over.refuse(what, "the key cannot be added"),
            None if key.revoked_at.is_none() && !valid.insert(&key) => {
                take_over.refuse(what, "the account has another valid key of that name");
            }
            None => take_over.keys.push(key),
        }
    }
    take_over
}

impl TakeOver {
    fn refuse(&mut self, what: String, why: impl Into<String>) {
        self.refused.push(TakeOverRefusal { what, why: why.into() });
    }
}

/// Returns the revocation time of each key, or `None` for a valid key. If a key was approved
/// several times, the latest approval counts.
fn revocation_times(keys: &[ApprovedKey]) -> HashMap<(AccountId, String), Option<Timestamp>> {
    let mut revoked = HashMap::new();
    for key in keys {
        let entry = revoked.entry((key.account.clone(), key.fingerprint.clone()));
        let at = entry.or_insert(key.revoked_at);
        *at = at.zip(key.revoked_at).map(|(one, other)| one.max(other));
    }
    revoked
}

/// The names and fingerprints of the unrevoked keys. Each name and each fingerprint is unique
/// within an account.
struct ValidKeys(HashSet<(AccountId, String)>);

impl ValidKeys {
    fn of(keys: &[ApprovedKey]) -> Self {
        let mut valid = Self(HashSet::new());
        for key in keys.iter().filter(|key| key.revoked_at.is_none()) {
            valid.insert(key);
        }
        valid
    }

    fn insert(&mut self, key: &ApprovedKey) -> bool {
        let Self(names) = self;
        let [name, fingerprint] =
            [&key.name, &key.fingerprint].map(|text| (key.account.clone(), text.clone()));
        !names.contains(&fingerprint) && names.insert(name) && names.insert(fingerprint)
    }
}

/// Returns true if `key` is exactly the row that `key add` would have written.
fn is_valid_key(key: &ApprovedKey) -> bool {
    let line = format!("{} {}", key.algorithm, key.public_key);
    let parsed = PublicKey::from_file(line.as_bytes());
    let is_itself = parsed.is_ok_and(|parsed| {
        parsed.fingerprint() == key.fingerprint
            && parsed.algorithm() == key.algorithm
            && parsed.base64() == key.public_key
    });
    let from = key.from.as_deref().map(key::parse_from_hosts);
    let from = from.is_none_or(|from| from.ok().as_deref() == key.from.as_deref());
    is_itself && from && key::check_name(&key.name).is_ok()
}
