//! The registry's table `account`, with functions to read and change it.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::database::RegistryTransaction;
use super::error::{Error, Result};
use crate::account::AccountId;
use crate::account_state::AccountState;

/// An account that root's commands created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name of the SFTP user and of the Unix user.
    pub id: AccountId,
    /// The id of the account's Unix user and group. `None` before the account's first key.
    pub uid: Option<u32>,
    pub state: AccountState,
}

/// Adds an account. Returns false if an account with the same id exists. Returns an error if
/// another account has the same Unix user id.
pub fn add(tx: &RegistryTransaction<'_>, at: Timestamp, account: &Account) -> Result<bool> {
    let Account { id, uid, state } = account;
    let added = tx
        .prepare_cached(
            "INSERT INTO account VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![id.as_str(), uid, state.as_str(), at.as_millisecond(), tx.actor])?;
    Ok(added == 1)
}

pub fn get(tx: &RegistryTransaction<'_>, id: &AccountId) -> Result<Option<Account>> {
    tx.prepare_cached("SELECT id, uid, state FROM account WHERE id = ?1")?
        .query_row([id.as_str()], |row| Ok(from_row(row)))
        .optional()?
        .transpose()
}

/// Returns all accounts of the registry in the order of their ids.
pub fn list(tx: &RegistryTransaction<'_>) -> Result<Vec<Account>> {
    let mut statement = tx.prepare_cached("SELECT id, uid, state FROM account ORDER BY id")?;
    let rows = statement.query_map([], |row| Ok(from_row(row)))?;
    rows.map(|row| row?).collect()
}

/// Records the Unix user id that the account has or will get. Returns an error if another account
/// has the same Unix user id.
pub fn set_uid(
    tx: &RegistryTransaction<'_>,
    at: Timestamp,
    id: &AccountId,
    uid: u32,
) -> Result<()> {
    tx.prepare_cached(
        "UPDATE account SET uid = ?2, changed_at = ?3, changed_by = ?4 WHERE id = ?1 AND uid IS NOT ?2",
    )?
    .execute(params![id.as_str(), uid, at.as_millisecond(), tx.actor])?;
    Ok(())
}

pub fn set_state(
    tx: &RegistryTransaction<'_>,
    at: Timestamp,
    id: &AccountId,
    state: AccountState,
) -> Result<()> {
    tx.prepare_cached(
        "UPDATE account SET state = ?2, changed_at = ?3, changed_by = ?4
         WHERE id = ?1 AND state <> ?2",
    )?
    .execute(params![id.as_str(), state.as_str(), at.as_millisecond(), tx.actor])?;
    Ok(())
}

/// Removes the row of an account from the registry, and the keys of the account.
pub fn remove(tx: &RegistryTransaction<'_>, id: &AccountId) -> Result<()> {
    tx.prepare_cached("DELETE FROM account WHERE id = ?1")?.execute([id.as_str()])?;
    Ok(())
}

pub(super) fn from_row(row: &Row<'_>) -> Result<Account> {
    let (id, state): (String, String) = (row.get("id")?, row.get("state")?);
    Ok(Account {
        id: id.parse().map_err(|_| Error::Value(format!("the account id {id:?}")))?,
        uid: row.get("uid")?,
        state: state.parse().map_err(|_| Error::Value(format!("the account state {state:?}")))?,
    })
}
