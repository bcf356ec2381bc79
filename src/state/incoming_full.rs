//! The table `incoming_full`: the accounts that were notified that too much waits in their
//! incoming.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::{Error, Result, millis, timestamp};
use crate::account::AccountId;
use crate::state::Transaction;

/// Returns the time since which `account` is notified, if it is.
pub fn since(tx: &Transaction<'_>, account: &AccountId) -> Result<Option<Timestamp>> {
    let since: Option<i64> = tx
        .prepare_cached("SELECT since FROM incoming_full WHERE account = ?1")?
        .query_row([account.as_str()], |row| row.get(0))
        .optional()?;
    since.map(timestamp).transpose()
}

/// Returns every notified account, and the time of the notification, by id.
pub fn list(tx: &Transaction<'_>) -> Result<Vec<(AccountId, Timestamp)>> {
    let mut statement =
        tx.prepare_cached("SELECT account, since FROM incoming_full ORDER BY account")?;
    let mut rows = statement.query([])?;
    let mut told = Vec::new();
    while let Some(row) = rows.next()? {
        let account: String = row.get(0)?;
        let id =
            account.parse().map_err(|_| Error::Value(format!("the account id {account:?}")))?;
        told.push((id, timestamp(row.get(1)?)?));
    }
    Ok(told)
}

/// Records that `account` is notified. Returns false if it was already, or does not exist any more.
pub fn begin(tx: &Transaction<'_>, account: &AccountId, at: Timestamp) -> Result<bool> {
    let sql = "INSERT OR IGNORE INTO incoming_full (account, since)
               SELECT id, ?2 FROM account WHERE id = ?1";
    Ok(tx.execute(sql, params![account.as_str(), millis(at)])? == 1)
}

/// Records that less waits again. Returns false if the account was not notified.
pub fn end(tx: &Transaction<'_>, account: &AccountId) -> Result<bool> {
    Ok(tx.execute("DELETE FROM incoming_full WHERE account = ?1", [account.as_str()])? == 1)
}
