//! Changes one account or key in the registry, and applies the change to sshd and the host.

use jiff::Timestamp;

use super::copy::copy_account;
use super::error::{AdmissionError, Result};
use super::limits::LimitedChange;
use crate::account::AccountId;
use crate::account_state::AccountState;
use crate::config::Config;
use crate::key::{self, KeyError, NewKey, Revocation};
use crate::provision;
use crate::recipient::RecipientRule;
use crate::registry::{self, Account, Registry};
use crate::state::State;
use crate::state::accounts::{self, AccountRow};
use crate::state::keys::{self, KeyRow};

/// Changes accounts and keys in `registry` and applies the changes to the host.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'a> {
    pub config: &'a Config,
    pub registry: &'a Registry,
    /// True if the limits for changes by the console apply.
    is_limited: bool,
}

/// A new account that is not in the registry yet.
#[derive(Clone, Debug)]
pub struct NewAccount<'a> {
    pub id: &'a AccountId,
    /// The mail address of the account's contact.
    pub email: Option<&'a str>,
    /// The addresses that may get mail about the account's imports.
    pub recipients: &'a RecipientRule,
}

/// The key that [`Admission::add_key`] added, with the state of its account.
#[derive(Clone, Debug)]
pub struct AddedKey {
    pub key: KeyRow,
    pub account: AccountState,
}

/// The result of [`Admission::suspend`].
#[derive(Clone, Debug)]
pub struct Suspension {
    pub account: Account,
    /// The number of session processes that were ended.
    pub ended: usize,
}

impl<'a> Admission<'a> {
    /// Returns an [`Admission`] for root's commands, whose changes are not limited.
    pub fn of_root(config: &'a Config, registry: &'a Registry) -> Self {
        Self { config, registry, is_limited: false }
    }

    /// Returns an [`Admission`] for the console, whose changes are limited.
    pub fn of_console(config: &'a Config, registry: &'a Registry) -> Self {
        Self { config, registry, is_limited: true }
    }

    /// Adds an account. If a crash interrupted the command, a second run completes it.
    ///
    /// # Errors
    /// The account exists, or its id is the name of an unrelated Unix user or group on this host.
    pub fn add_account(
        &self,
        state: &State,
        at: Timestamp,
        new: &NewAccount<'_>,
    ) -> Result<AccountRow> {
        let NewAccount { id, email, recipients } = *new;
        provision::check_new_account(self.config, id)?;
        let copied = state.read(|tx| accounts::get(tx, id))?.is_some();
        let approved = self.registry.read(|tx| registry::accounts::get(tx, id))?.is_some();
        match (approved, copied) {
            (true, true) => return Err(AdmissionError::AccountExists(id.clone())),
            (false, true) => return Err(AdmissionError::NotApproved(id.clone())),
            (_, false) => {}
        }
        let account = Account { id: id.clone(), uid: None, state: AccountState::Active };
        self.registry.write(|tx| {
            // If the request is repeated after a crash, the account exists already. The repeated
            // request does not count towards the hourly limit.
            if registry::accounts::add(tx, at, &account)? && self.is_limited {
                LimitedChange::AddAccount.count(tx, at, id)?;
            }
            Ok::<_, AdmissionError>(())
        })?;
        state.write(|tx| {
            if !accounts::add(tx, at, id, email, recipients)? {
                // The command `provision` may have added the account's row already, but without a
                // contact and recipients.
                accounts::set_contact(tx, at, id, email)?;
                accounts::set_recipients(tx, at, id, recipients)?;
            }
            accounts::get(tx, id)?.ok_or_else(|| AdmissionError::NoAccount(id.clone()))
        })
    }

    /// Adds a key to an account and publishes the key. With the first key, also creates the
    /// account's Unix user and folders.
    ///
    /// # Errors
    /// The key can't be added, or an operation on the host failed. A key that the account already
    /// has is also an error. Before that error is returned, the key is published again, because a
    /// crash may have prevented its publication.
    pub fn add_key(
        &self,
        state: &State,
        at: Timestamp,
        account: &AccountId,
        new: NewKey<'_>,
    ) -> Result<AddedKey> {
        let checked = self.registry.read(|tx| self.check_key(tx, at, account, &new));
        if let Err(AdmissionError::Key(KeyError::Duplicate { .. })) = checked {
            self.create_user(state, at, account)?;
            key::publish(self.registry, self.config, at)?;
            copy_account(self.registry, state, at, account)?;
        }
        checked?;
        let fingerprint = new.key.fingerprint();
        self.create_user(state, at, account)?;
        self.registry.write(|tx| {
            if self.is_limited {
                LimitedChange::SaveKey.count(tx, at, account)?;
            }
            Ok::<_, AdmissionError>(key::add(tx, at, account, new)?)
        })?;
        key::publish(self.registry, self.config, at)?;
        copy_account(self.registry, state, at, account)?;
        state.read(|tx| {
            let key = keys::find(tx, account, &fingerprint)?;
            let row = accounts::get(tx, account)?;
            key.zip(row)
                .map(|(key, row)| AddedKey { key, account: row.state })
                .ok_or_else(|| AdmissionError::NoAccount(account.clone()))
        })
    }

    /// Checks that the key can be added. Must be called before the Unix user is created.
    fn check_key(
        &self,
        tx: &registry::RegistryTransaction<'_>,
        at: Timestamp,
        account: &AccountId,
        new: &NewKey<'_>,
    ) -> Result<()> {
        key::check_new(tx, account, new)?;
        match self.is_limited {
            true => LimitedChange::SaveKey.check(tx, at, account),
            false => Ok(()),
        }
    }

    /// Creates the Unix user and the folders of an account. The user's id is copied to the state
    /// database before the folders exist. The reason is that the daemon reads the accounts from the
    /// state database as soon as it notices a new folder.
    fn create_user(&self, state: &State, at: Timestamp, account: &AccountId) -> Result<()> {
        provision::assign_uid(self.config, self.registry, account)?;
        copy_account(self.registry, state, at, account)?;
        Ok(provision::ensure_account(self.config, self.registry, account)?)
    }

    /// Revokes the key of an account by its name or fingerprint. After this function returns, no
    /// login with the key succeeds. The caller then updates the copy in the state database with
    /// [`copy_account`].
    ///
    /// # Errors
    /// The account or the key does not exist, or the publication failed.
    pub fn revoke_key(
        &self,
        at: Timestamp,
        account: &AccountId,
        name_or_fingerprint: &str,
    ) -> Result<Revocation> {
        let revoked =
            self.registry.write(|tx| key::revoke(tx, at, account, name_or_fingerprint))?;
        key::publish(self.registry, self.config, at)?;
        Ok(revoked)
    }

    /// Suspends an account: blocks new logins, and then ends the open sessions. The caller then
    /// updates the copy in the state database with [`copy_account`].
    ///
    /// # Errors
    /// The account does not exist or is being removed, the publication failed, or a session could
    /// not be ended.
    pub fn suspend(&self, at: Timestamp, id: &AccountId) -> Result<Suspension> {
        let account = self.set_state(at, id, AccountState::Suspended)?;
        let ended = provision::end_sessions(self.config, &account)?;
        Ok(Suspension { account, ended })
    }

    /// Lets a suspended account log in again. The caller then updates the copy in the state
    /// database with [`copy_account`].
    ///
    /// # Errors
    /// The account does not exist or is being removed, or the publication failed.
    pub fn resume(&self, at: Timestamp, id: &AccountId) -> Result<Account> {
        self.set_state(at, id, AccountState::Active)
    }

    pub(super) fn set_state(
        &self,
        at: Timestamp,
        id: &AccountId,
        to: AccountState,
    ) -> Result<Account> {
        let account = self.registry.write(|tx| {
            if approved(tx, id)?.state == AccountState::Removing {
                return Err(AdmissionError::Removing(id.clone()));
            }
            if self.is_limited {
                LimitedChange::of_state(to).count(tx, at, id)?;
            }
            registry::accounts::set_state(tx, at, id, to)?;
            approved(tx, id)
        })?;
        key::publish(self.registry, self.config, at)?;
        Ok(account)
    }

    /// Ends all logins of an account permanently and removes its Unix user and folders. The rows of
    /// the account stay. After an error or a crash, a second run completes the removal.
    pub fn shut_out(&self, state: &State, at: Timestamp, id: &AccountId) -> Result<()> {
        let account = self.registry.write(|tx| {
            registry::accounts::set_state(tx, at, id, AccountState::Removing)?;
            registry::accounts::get(tx, id)
        })?;
        key::publish(self.registry, self.config, at)?;
        copy_account(self.registry, state, at, id)?;
        match account {
            Some(account) => Ok(provision::remove_account(self.config, &account)?),
            // The registry does not contain the account. Either a restore or the daemon's user
            // added it to the state database. The account's user and folders are removed if they
            // exist.
            None => Ok(provision::remove_leftovers(self.config, self.registry, id)?),
        }
    }

    /// Deletes the rows of an account from both databases. The function [`Admission::shut_out`]
    /// must be called first.
    pub fn forget(&self, state: &State, at: Timestamp, id: &AccountId) -> Result<()> {
        state.write(|tx| accounts::remove(tx, at, id))?;
        Ok(self.registry.write(|tx| registry::accounts::remove(tx, id))?)
    }
}

fn approved(tx: &registry::RegistryTransaction<'_>, id: &AccountId) -> Result<Account> {
    registry::accounts::get(tx, id)?.ok_or_else(|| AdmissionError::NoAccount(id.clone()))
}
