//! Updates the state database's copy of accounts and keys to match the registry.
//!
//! Nothing is deleted: the row of an account that root has not approved may come from a restore,
//! and it holds the account's contact and webhooks.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;

use super::{Admission, AdmissionError};
use crate::account::AccountId;
use crate::account_state::AccountState;
use crate::recipient::RecipientRule;
use crate::registry::{self, Account, ApprovedKey, Registry};
use crate::state::accounts::{self, AccountRow};
use crate::state::keys::{self, KeyRow};
use crate::state::{State, Transaction};

/// Accounts updated in one transaction. The daemon waits while one runs.
const AT_ONCE: usize = 200;

/// A change that makes the copy match the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Adds an account that the copy lacks.
    AddAccount(Account),
    /// Corrects the Unix user id.
    SetUid(AccountId, u32),
    /// Corrects the state.
    SetState(AccountId, AccountState),
    /// Suspends an account that is not in the registry. None of its keys works.
    SuspendUnknown(AccountId),
    /// Revokes a key that root has not approved, has revoked, or has approved with other
    /// restrictions.
    RevokeKey(KeyRow),
    /// Adds a key that the copy lacks.
    AddKey(ApprovedKey),
}

impl Change {
    /// Whether the copy had an account or key that root has not approved.
    pub fn was_not_approved(&self) -> bool {
        matches!(self, Self::SuspendUnknown(_) | Self::RevokeKey(_))
    }

    fn carry_out(&self, tx: &Transaction<'_>, at: Timestamp) -> crate::state::Result<()> {
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
            Self::AddKey(key) => keys::add(tx, &row(key)),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddAccount(account) => {
                write!(f, "account {} added, because it was missing", account.id)
            }
            Self::SetUid(id, uid) => write!(f, "Unix user id of account {id} corrected to {uid}"),
            Self::SetState(id, state) => write!(f, "state of account {id} corrected to {state}"),
            Self::SuspendUnknown(id) => {
                write!(f, "account {id} suspended, because root has not approved it")
            }
            Self::RevokeKey(key) => write!(
                f,
                "key {:?} {} of account {} revoked, because root has not approved it in this form",
                key.name, key.fingerprint, key.account
            ),
            Self::AddKey(key) => write!(
                f,
                "key {:?} {} of account {} added, because it was missing",
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

/// One account in the registry and in the copy, with the keys that are not revoked.
struct Sides {
    account: Option<Account>,
    keys: Vec<ApprovedKey>,
    copy: Option<AccountRow>,
    copied: Vec<KeyRow>,
}

impl Sides {
    fn read(
        registry: &Registry,
        tx: &Transaction<'_>,
        id: &AccountId,
    ) -> Result<Self, AdmissionError> {
        let (account, keys) = registry.read(|of| {
            let account = registry::accounts::get(of, id)?;
            Ok::<_, registry::Error>((account, registry::keys::list(of, Some(id), false)?))
        })?;
        let copied = keys::list(tx, Some(id), false)?;
        Ok(Self { account, keys, copy: accounts::get(tx, id)?, copied })
    }

    /// Returns the changes in an order in which they can be applied.
    fn changes(self) -> Vec<Change> {
        let mut changes = Vec::new();
        match (self.account, self.copy) {
            (Some(account), None) => changes.push(Change::AddAccount(account)),
            (Some(account), Some(copy)) => {
                if let Some(uid) = account.uid.filter(|uid| copy.uid != Some(*uid)) {
                    changes.push(Change::SetUid(account.id.clone(), uid));
                }
                if account.state != copy.state {
                    changes.push(Change::SetState(account.id, account.state));
                }
            }
            (None, Some(copy)) if copy.state == AccountState::Active => {
                changes.push(Change::SuspendUnknown(copy.id));
            }
            (None, _) => {}
        }
        let (known, unknown): (Vec<KeyRow>, Vec<KeyRow>) = self
            .copied
            .into_iter()
            .partition(|copied| self.keys.iter().any(|key| is_same(key, copied)));
        let lacking =
            self.keys.into_iter().filter(|key| !known.iter().any(|copied| is_same(key, copied)));
        let lacking = lacking.map(Change::AddKey).collect::<Vec<_>>();
        changes.extend(unknown.into_iter().map(Change::RevokeKey));
        changes.extend(lacking);
        changes
    }
}

/// Returns the changes that would make the copy in `state` match `registry`.
pub fn differences(registry: &Registry, state: &State) -> Result<Vec<Change>, AdmissionError> {
    let approved: Vec<Account> = registry.read(registry::accounts::list)?;
    state.read(|tx| {
        let copied = accounts::list(tx)?.into_iter().map(|row| row.id);
        let ids: BTreeSet<AccountId> =
            approved.into_iter().map(|account| account.id).chain(copied).collect();
        let mut changes = Vec::new();
        for id in ids {
            changes.extend(Sides::read(registry, tx, &id)?.changes());
        }
        Ok(changes)
    })
}

impl Admission<'_> {
    /// Updates the copy of one account to match the registry. Returns the changes.
    pub fn copy(
        &self,
        state: &State,
        at: Timestamp,
        id: &AccountId,
    ) -> Result<Vec<Change>, AdmissionError> {
        state.write(|tx| self.copy_one(tx, at, id))
    }

    /// Compares and updates in one write transaction, so that of two concurrent commands the later
    /// one has seen the earlier one's change.
    fn copy_one(
        &self,
        tx: &Transaction<'_>,
        at: Timestamp,
        id: &AccountId,
    ) -> Result<Vec<Change>, AdmissionError> {
        let changes = Sides::read(self.registry, tx, id)?.changes();
        changes.iter().try_for_each(|change| change.carry_out(tx, at))?;
        Ok(changes)
    }

    /// Updates the whole copy to match the registry. Returns the changes.
    pub fn copy_all(&self, state: &State, at: Timestamp) -> Result<Vec<Change>, AdmissionError> {
        let mut accounts: Vec<AccountId> =
            differences(self.registry, state)?.iter().map(Change::account).collect();
        accounts.dedup();
        let mut changed = Vec::new();
        for some in accounts.chunks(AT_ONCE) {
            state.write(|tx| {
                for id in some {
                    changed.extend(self.copy_one(tx, at, id)?);
                }
                Ok::<_, AdmissionError>(())
            })?;
        }
        Ok(changed)
    }
}

impl Change {
    fn account(&self) -> AccountId {
        match self {
            Self::AddAccount(account) => account.id.clone(),
            Self::SetUid(id, _) | Self::SetState(id, _) | Self::SuspendUnknown(id) => id.clone(),
            Self::RevokeKey(key) => key.account.clone(),
            Self::AddKey(key) => key.account.clone(),
        }
    }
}
