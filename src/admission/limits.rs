//! Limits the number of changes that the console can make. The limits also apply to an attacker who
//! has taken over the broker. Root's commands have no limits.

use jiff::Timestamp;

use super::error::{AdmissionError, Result};
use crate::account::AccountId;
use crate::account_state::AccountState;
use crate::registry::{RegistryTransaction, keys, limited_changes};

/// The maximum number of unrevoked keys that an account may have.
pub(super) const KEYS: usize = 50;
/// The maximum number of keys that may be saved in an hour: first for one account, then for all
/// accounts.
pub(super) const SAVED_KEYS: (u32, u32) = (10, 100);
/// The maximum number of accounts that may be added in an hour.
pub(super) const ADDED_ACCOUNTS: u32 = 100;
/// The maximum number of suspensions in an hour. The maximum number of resumptions is the same.
pub(super) const STATE_CHANGES: u32 = 20;

/// A kind of change whose number per hour is limited. Revocations are not limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LimitedChange {
    SaveKey,
    AddAccount,
    Suspend,
    Resume,
}

impl LimitedChange {
    /// Returns the kind of change that sets the state of an account to `to`.
    pub fn of_state(to: AccountState) -> Self {
        match to {
            AccountState::Active => Self::Resume,
            AccountState::Suspended | AccountState::Removing => Self::Suspend,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::SaveKey => "key.save",
            Self::AddAccount => "account.add",
            Self::Suspend => "account.suspend",
            Self::Resume => "account.resume",
        }
    }

    /// Checks that the limits allow the change at the time `at`.
    pub fn check(
        self,
        tx: &RegistryTransaction<'_>,
        at: Timestamp,
        account: &AccountId,
    ) -> Result<()> {
        if self == Self::SaveKey && keys::list(tx, Some(account), false)?.len() >= KEYS {
            return Err(AdmissionError::TooManyKeys { account: account.clone(), max: KEYS });
        }
        let (of_account, of_all) = match self {
            Self::SaveKey => (Some(SAVED_KEYS.0), SAVED_KEYS.1),
            Self::AddAccount => (None, ADDED_ACCOUNTS),
            Self::Suspend | Self::Resume => (None, STATE_CHANGES),
        };
        let limits = of_account.map(|max| (max, Some(account))).into_iter().chain([(of_all, None)]);
        for (max, of) in limits {
            if let Some(wait) = limited_changes::wait(tx, at, self.as_str(), of, max)? {
                return Err(AdmissionError::HourlyLimit { change: self.as_str(), max, wait });
            }
        }
        Ok(())
    }

    /// Checks that the limits allow the change at the time `at`, and counts the change.
    pub fn count(
        self,
        tx: &RegistryTransaction<'_>,
        at: Timestamp,
        account: &AccountId,
    ) -> Result<()> {
        self.check(tx, at, account)?;
        Ok(limited_changes::record(tx, at, self.as_str(), account)?)
    }
}
