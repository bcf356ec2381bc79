//! Updates the copy of the registry in the state database, so that its accounts and keys match the
//! registry.
//!
//! The update deletes no rows. If root has not approved an account in the copy, its row may come
//! from a restored backup. The row is kept because it contains the account's contact and webhooks.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;

use super::error::{AdmissionError, Result};
use crate::account::AccountId;
use crate::account_state::AccountState;
use crate::recipient::RecipientRule;
use crate::registry::{self, Account, ApprovedKey, Registry};
use crate::state::accounts::{self, AccountRow};
use crate::state::keys::{self, KeyRow};
use crate::state::{State, Transaction};

/// The number of accounts that one transaction updates. The daemon waits while a transaction runs.
const ACCOUNTS_PER_TRANSACTION: usize = 200;

/// A change that makes the copy match the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyChange {
    /// Adds an account that is missing from the copy.
    AddAccount(Account),
    /// Corrects the Unix user id of an account.
    SetUid(AccountId, u32),
    /// Corrects the state of an account in the copy.
    SetState(AccountId, AccountState),
    /// Suspends an account that is not in the registry. None of its keys works afterwards.
    SuspendUnknown(AccountId),
    /// Revokes a key that root has not approved, or that root has revoked.
    RevokeKey(KeyRow),
    /// Replaces a key whose restrictions differ from the restrictions that root has approved.
    ReplaceKey(KeyRow, ApprovedKey),
    /// Adds a key that is missing from the copy.
    AddKey(ApprovedKey),
}

impl CopyChange {
    /// Returns true if the copy had an account or key that root has not approved.
    pub fn was_not_approved(&self) -> bool {
        matches!(self, Self::SuspendUnknown(_) | Self::RevokeKey(_) | Self::ReplaceKey(..))
    }

    fn account(&self) -> &AccountId {
        match self {
            Self::AddAccount(account) => &account.id,
            Self::SetUid(id, _) | Self::SetState(id, _) | Self::SuspendUnknown(id) => id,
            Self::RevokeKey(key) | Self::ReplaceKey(key, _) => &key.account,
            Self::AddKey(key) => &key.account,
        }
    }

    fn apply(&self, tx: &Transaction<'_>, at: Timestamp) -> crate::state::Result<()> {
        match self {
            Self::AddAccount(Account { id, uid, state }) => {
                let nobody = RecipientRule::limited(None, Vec::new(), None);
                accounts::add(tx, at, id, None, &nobody)?;
                accounts::set_state(tx, at, id, *state)?;
                uid.map_or(Ok(()), |uid| accounts::set_uid(tx, id, uid))
            }
            Self::SetUid(id, uid) => accounts::set_uid(tx, id, *uid),
            Self::SetState(id, state) => accounts::set_state(tx, at, id, *state).map(drop),
            Self::SuspendUnknown(id) => {
                accounts::set_state(tx, at, id, AccountState::Suspended).map(drop)
            }
            Self::RevokeKey(key) => keys::revoke(tx, at, key).map(drop),
            Self::ReplaceKey(copied, approved) => {
                keys::revoke(tx, at, copied)?;
                keys::add(tx, &row(approved))
            }
            Self::AddKey(key) => keys::add(tx, &row(key)),
        }
    }
}

impl fmt::Display for CopyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddAccount(account) => {
                write!(f, "account {} is added, because it was missing", account.id)
            }
            Self::SetUid(id, uid) => {
                write!(f, "the Unix user id of account {id} is corrected to {uid}")
            }
            Self::SetState(id, state) => {
                write!(f, "the state of account {id} is corrected to {state}")
            }
            Self::SuspendUnknown(id) => {
                write!(f, "account {id} is suspended, because root has not approved it")
            }
            Self::RevokeKey(key) => write!(
                f,
                "the key {:?} {} of account {} is revoked, because root has not approved it",
                key.name, key.fingerprint, key.account
            ),
            Self::ReplaceKey(_, key) => write!(
                f,
                "the key {:?} {} of account {} is changed, because root has not approved it in this form",
                key.name, key.fingerprint, key.account
            ),
            Self::AddKey(key) => write!(
                f,
                "the key {:?} {} of account {} is added, because it was missing",
                key.name, key.fingerprint, key.account
            ),
        }
    }
}

fn row(key: &ApprovedKey) -> KeyRow {
    KeyRow {
        account: key.account.clone(),
        name: key.name.clone(),
        algorithm: key.algorithm.clone(),
        public_key: key.public_key.clone(),
        fingerprint: key.fingerprint.clone(),
        from: key.from.clone(),
        expires_at: key.expires_at,
        created_at: key.approved_at,
        revoked_at: None,
        last_used_at: None,
        last_used_from: None,
    }
}

fn is_same(approved: &ApprovedKey, copied: &KeyRow) -> bool {
    let KeyRow { name, algorithm, public_key, fingerprint, from, expires_at, .. } = copied;
    approved.fingerprint == *fingerprint
        && approved.public_key == *public_key
        && approved.algorithm == *algorithm
        && approved.from == *from
        && approved.expires_at == *expires_at
        && approved.name == *name
}

/// One account with its unrevoked keys, both from the registry and from the copy.
struct AccountComparison {
    approved: Option<Account>,
    approved_keys: Vec<ApprovedKey>,
    copied: Option<AccountRow>,
    copied_keys: Vec<KeyRow>,
}

impl AccountComparison {
    fn read(registry: &Registry, tx: &Transaction<'_>, id: &AccountId) -> Result<Self> {
        let (approved, approved_keys) = registry.read(|of| {
            let account = registry::accounts::get(of, id)?;
            Ok::<_, registry::Error>((account, registry::keys::list(of, Some(id), false)?))
        })?;
        let copied_keys = keys::list(tx, Some(id), false)?;
        Ok(Self { approved, approved_keys, copied: accounts::get(tx, id)?, copied_keys })
    }

    /// Returns the changes in an order in which they can be applied.
    fn changes(self) -> Vec<CopyChange> {
        let Self { approved, approved_keys, copied, copied_keys } = self;
        let mut changes = Vec::new();
        match (approved, copied) {
            (Some(account), None) => changes.push(CopyChange::AddAccount(account)),
            (Some(account), Some(copy)) => {
                if let Some(uid) = account.uid.filter(|uid| copy.uid != Some(*uid)) {
                    changes.push(CopyChange::SetUid(account.id.clone(), uid));
                }
                if account.state != copy.state {
                    changes.push(CopyChange::SetState(account.id, account.state));
                }
            }
            (None, Some(copy)) if copy.state == AccountState::Active => {
                changes.push(CopyChange::SuspendUnknown(copy.id));
            }
            (None, _) => {}
        }
        changes.extend(key_changes(approved_keys, copied_keys));
        changes
    }
}

/// Compares the valid keys of one account in the registry and in the copy. Revocations come first
/// for two reasons. An added key can have the name of a revoked key. A revocation applies to all
/// rows with the fingerprint of the key.
fn key_changes(approved: Vec<ApprovedKey>, copied: Vec<KeyRow>) -> Vec<CopyChange> {
    let (correct, wrong): (Vec<_>, Vec<_>) =
        copied.into_iter().partition(|copy| approved.iter().any(|key| is_same(key, copy)));
    let mut missing = approved;
    missing.retain(|key| !correct.iter().any(|copy| is_same(key, copy)));
    let (mut changes, mut replaced) = (Vec::new(), Vec::new());
    for copy in wrong {
        let is_replaced =
            |key: &ApprovedKey| (&key.fingerprint, &key.name) == (&copy.fingerprint, &copy.name);
        match missing.iter().position(is_replaced) {
            Some(index) => replaced.push(CopyChange::ReplaceKey(copy, missing.remove(index))),
            None => changes.push(CopyChange::RevokeKey(copy)),
        }
    }
    changes.extend(replaced);
    changes.extend(missing.into_iter().map(CopyChange::AddKey));
    changes
}

/// Returns the changes that would make the copy in `state` match `registry`.
pub fn compare_copy(registry: &Registry, state: &State) -> Result<Vec<CopyChange>> {
    let approved: Vec<Account> = registry.read(registry::accounts::list)?;
    state.read(|tx| {
        let copied = accounts::list(tx)?.into_iter().map(|row| row.id);
        let ids: BTreeSet<AccountId> =
            approved.into_iter().map(|account| account.id).chain(copied).collect();
        let mut changes = Vec::new();
        for id in ids {
            changes.extend(AccountComparison::read(registry, tx, &id)?.changes());
        }
        Ok(changes)
    })
}

/// Updates the copy of one account to match the registry. Returns the changes.
pub fn copy_account(
    registry: &Registry,
    state: &State,
    at: Timestamp,
    id: &AccountId,
) -> Result<Vec<CopyChange>> {
    state.write(|tx| copy_in_transaction(registry, tx, at, id))
}

/// Updates the copy of all accounts to match the registry. Returns the changes.
pub fn copy_all(registry: &Registry, state: &State, at: Timestamp) -> Result<Vec<CopyChange>> {
    let mut accounts: Vec<AccountId> =
        compare_copy(registry, state)?.iter().map(|change| change.account().clone()).collect();
    accounts.dedup();
    let mut changed = Vec::new();
    for some in accounts.chunks(ACCOUNTS_PER_TRANSACTION) {
        state.write(|tx| {
            for id in some {
                changed.extend(copy_in_transaction(registry, tx, at, id)?);
            }
            Ok::<_, AdmissionError>(())
        })?;
    }
    Ok(changed)
}

/// Compares and updates in one write transaction. If two commands run at the same time, the later
/// command therefore uses the result of the earlier command.
fn copy_in_transaction(
    registry: &Registry,
    tx: &Transaction<'_>,
    at: Timestamp,
    id: &AccountId,
) -> Result<Vec<CopyChange>> {
    let changes = AccountComparison::read(registry, tx, id)?.changes();
    changes.iter().try_for_each(|change| change.apply(tx, at))?;
    Ok(changes)
}
