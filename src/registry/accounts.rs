//! Accounts in the registry.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::{Error, Result, Transaction};
use crate::account::AccountId;
use crate::account_state::AccountState;

/// An account as root's commands made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id, which is the SFTP and the Unix user's name.
    pub id: AccountId,
    /// The Unix user's (and its group's) id; none before the first key.
    pub uid: Option<u32>,
    /// What it may do.
    pub state: AccountState,
}

/// Adds an account, or returns false when there is one of that id.
///
/// # Errors
/// SQLite's; another account has the Unix user id.
pub fn add(tx: &Transaction<'_>, at: Timestamp, account: &Account) -> Result<bool> {
    let Account { id, uid, state } = account;
    let added = tx
        .prepare_cached(
            "INSERT INTO account VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![id.as_str(), uid, state.as_str(), at.as_millisecond(), tx.actor])?;
    Ok(added == 1)
}

/// The account, if there is one.
///
/// # Errors
/// SQLite's, or the row is not one of ours.
pub fn get(tx: &Transaction<'_>, id: &AccountId) -> Result<Option<Account>> {
    tx.prepare_cached("SELECT id, uid, state FROM account WHERE id = ?1")?
        .query_row([id.as_str()], |row| Ok(from_row(row)))
        .optional()?
        .transpose()
}

/// Every account, by id.
///
/// # Errors
/// SQLite's, or a row is not one of ours.
pub fn list(tx: &Transaction<'_>) -> Result<Vec<Account>> {
    let mut statement = tx.prepare_cached("SELECT id, uid, state FROM account ORDER BY id")?;
    let rows = statement.query_map([], |row| Ok(from_row(row)))?;
    rows.map(|row| row?).collect()
}

/// Notes the Unix user id that the account has or is about to get.
///
/// # Errors
/// SQLite's; another account has the id.
pub fn set_uid(tx: &Transaction<'_>, at: Timestamp, id: &AccountId, uid: u32) -> Result<()> {
    tx.prepare_cached(
        "UPDATE account SET uid = ?2, changed_at = ?3, changed_by = ?4 WHERE id = ?1 AND uid IS NOT ?2",
    )?
    .execute(params![id.as_str(), uid, at.as_millisecond(), tx.actor])?;
    Ok(())
}

/// Changes what the account may do.
///
/// # Errors
/// SQLite's.
pub fn set_state(
    tx: &Transaction<'_>,
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

/// Takes the account's row away, and its keys with it.
///
/// # Errors
/// SQLite's.
pub fn remove(tx: &Transaction<'_>, id: &AccountId) -> Result<()> {
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
