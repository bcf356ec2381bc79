//! The table `incoming_full`. It has the accounts that were notified because too many files wait
//! in their incoming.

use jiff::Timestamp;
use rusqlite::params;

use super::db::transaction::{parsed, time};
use super::{Result, Transaction, millis};
use crate::account::AccountId;

/// Returns the time at which `account` was notified of too many files. Returns `None` if the
/// account was not notified.
pub fn since(tx: &Transaction<'_>, account: &AccountId) -> Result<Option<Timestamp>> {
    let sql = "SELECT since FROM incoming_full WHERE account = ?1";
    tx.select_first(sql, [account.as_str()], |row| time(row, 0))
}

/// Returns all accounts that were notified of too many files, in the order of their ids. Each
/// account has the time of its notification.
pub fn list(tx: &Transaction<'_>) -> Result<Vec<(AccountId, Timestamp)>> {
    let sql = "SELECT account, since FROM incoming_full ORDER BY account";
    tx.select(sql, [], |row| Ok((parsed(row, 0)?, time(row, 1)?)))
}

/// Records that `account` was notified of too many files. Returns false if the account was already
/// notified or does not exist.
pub fn begin(tx: &Transaction<'_>, account: &AccountId, at: Timestamp) -> Result<bool> {
    let sql = "INSERT OR IGNORE INTO incoming_full (account, since)
               SELECT id, ?2 FROM account WHERE id = ?1";
    Ok(tx.change(sql, params![account.as_str(), millis(at)])? == 1)
}

/// Removes an account from the table, because fewer files wait in its incoming. Returns false if
/// the account was not in the table.
pub fn end(tx: &Transaction<'_>, account: &AccountId) -> Result<bool> {
    Ok(tx.change("DELETE FROM incoming_full WHERE account = ?1", [account.as_str()])? == 1)
}
