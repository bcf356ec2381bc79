//! One change of an account or a key, carried through.

use jiff::Timestamp;

use super::{Admission, AdmissionError};
use crate::account::AccountId;
use crate::account_state::AccountState;
use crate::key::{self, KeyError, NewKey, Revoked};
use crate::provision;
use crate::recipient::RecipientRule;
use crate::registry::{self, Account};
use crate::state::State;
use crate::state::accounts::{self, AccountRow};
use crate::state::keys::{self, KeyRow};

/// An account to be added.
#[derive(Clone, Debug)]
pub struct NewAccount<'a> {
    /// Its id.
    pub id: &'a AccountId,
    /// Its contact.
    pub email: Option<&'a str>,
    /// Who gets mail about its imports.
    pub recipients: &'a RecipientRule,
}

/// What [`Admission::add_key`] did.
#[derive(Clone, Debug)]
pub struct AddedKey {
    /// The key.
    pub key: KeyRow,
    /// What its account may do.
    pub account: AccountState,
}

impl Admission<'_> {
    /// Adds an account. Done again after it was cut off, it finishes.
    ///
    /// # Errors
    /// There is one of that id, or its name is somebody else's on this host.
    pub fn add_account(
        &self,
        state: &State,
        at: Timestamp,
        new: &NewAccount<'_>,
    ) -> Result<AccountRow, AdmissionError> {
        let NewAccount { id, email, recipients } = *new;
        provision::check_new(self.config, id)?;
        let copied = state.read(|tx| accounts::get(tx, id))?.is_some();
        let approved = self.registry.read(|tx| registry::accounts::get(tx, id))?.is_some();
        match (approved, copied) {
            (true, true) => return Err(AdmissionError::AccountExists(id.clone())),
            (false, true) => return Err(AdmissionError::NotApproved(id.clone())),
            (_, false) => {}
        }
        let account = Account { id: id.clone(), uid: None, state: AccountState::Active };
        self.registry.write(|tx| registry::accounts::add(tx, at, &account))?;
        state.write(|tx| {
            if !accounts::add(tx, at, id, email, recipients)? {
                // `provision` was faster: it made the row, without these.
                accounts::set_contact(tx, at, id, email)?;
                accounts::set_recipients(tx, at, id, recipients)?;
            }
            accounts::get(tx, id)?.ok_or_else(|| AdmissionError::NoAccount(id.clone()))
        })
    }

    /// Adds a key to an account and publishes it; the account's first key makes its Unix user and
    /// folders.
    ///
    /// # Errors
    /// The key can't be the account's, or the host failed. A key that is there already is published
    /// again, as the first time may have been cut off.
    pub fn add_key(
        &self,
        state: &State,
        at: Timestamp,
        account: &AccountId,
        new: NewKey<'_>,
    ) -> Result<AddedKey, AdmissionError> {
        let checked = self.registry.read(|tx| key::check_new(tx, account, &new));
        if let Err(KeyError::Duplicate { .. }) = checked {
            self.make_user(state, at, account)?;
            key::publish(self.registry, self.config, at)?;
            self.copy(state, at, account)?;
        }
        checked?;
        let fingerprint = new.key.fingerprint();
        self.make_user(state, at, account)?;
        self.registry.write(|tx| key::add(tx, at, account, new))?;
        key::publish(self.registry, self.config, at)?;
        self.copy(state, at, account)?;
        state.read(|tx| {
            let key = keys::find(tx, account, &fingerprint)?;
            let row = accounts::get(tx, account)?;
            key.zip(row)
                .map(|(key, row)| AddedKey { key, account: row.state })
                .ok_or_else(|| AdmissionError::NoAccount(account.clone()))
        })
    }

    /// Makes the Unix user and the folders of an account. The daemon looks for accounts when it sees a
    /// new folder: the copy has the user's id by then.
    fn make_user(
        &self,
        state: &State,
        at: Timestamp,
        account: &AccountId,
    ) -> Result<(), AdmissionError> {
        provision::assign_uid(self.config, self.registry, account)?;
        self.copy(state, at, account)?;
        Ok(provision::ensure(self.config, self.registry, account)?)
    }

    /// Revokes an account's key by its name or fingerprint: on return no login with it succeeds. The
    /// copy is brought up to date after it, by [`Admission::copy`].
    ///
    /// # Errors
    /// No such account or key, or it could not be published.
    pub fn revoke_key(
        &self,
        at: Timestamp,
        account: &AccountId,
        name_or_fingerprint: &str,
    ) -> Result<Revoked, AdmissionError> {
        let revoked =
            self.registry.write(|tx| key::revoke(tx, at, account, name_or_fingerprint))?;
        key::publish(self.registry, self.config, at)?;
        Ok(revoked)
    }

    /// Suspends an account or lets it in again. The copy is brought up to date after it.
    ///
    /// # Errors
    /// No such account, it is being removed, or it could not be published.
    pub fn set_state(
        &self,
        at: Timestamp,
        id: &AccountId,
        to: AccountState,
    ) -> Result<Account, AdmissionError> {
        let account = self.registry.write(|tx| {
            if approved(tx, id)?.state == AccountState::Removing {
                return Err(AdmissionError::Removing(id.clone()));
            }
            registry::accounts::set_state(tx, at, id, to)?;
            approved(tx, id)
        })?;
        key::publish(self.registry, self.config, at)?;
        Ok(account)
    }

    /// Ends an account's logins for good and takes its Unix user and folders away. Its rows stay.
    ///
    /// # Errors
    /// No such account, or the host failed; done again, it goes on.
    pub fn shut_out(
        &self,
        state: &State,
        at: Timestamp,
        id: &AccountId,
    ) -> Result<(), AdmissionError> {
        let account = self.registry.write(|tx| {
            registry::accounts::set_state(tx, at, id, AccountState::Removing)?;
            registry::accounts::get(tx, id)
        })?;
        key::publish(self.registry, self.config, at)?;
        self.copy(state, at, id)?;
        match account {
            Some(account) => Ok(provision::remove(self.config, &account)?),
            // A restore or the daemon's user brought it: what is ours on this host goes.
            None => Ok(provision::remove_left(self.config, self.registry, id)?),
        }
    }

    /// Takes the rows of an account away that was shut out, in both databases.
    ///
    /// # Errors
    /// Either database's.
    pub fn forget(
        &self,
        state: &State,
        at: Timestamp,
        id: &AccountId,
    ) -> Result<(), AdmissionError> {
        state.write(|tx| accounts::remove(tx, at, id))?;
        Ok(self.registry.write(|tx| registry::accounts::remove(tx, id))?)
    }
}

fn approved(tx: &registry::Transaction<'_>, id: &AccountId) -> Result<Account, AdmissionError> {
    registry::accounts::get(tx, id)?.ok_or_else(|| AdmissionError::NoAccount(id.clone()))
}
