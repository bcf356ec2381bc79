//! The table `endpoint`: where an account's webhooks are sent.
//!
//! A secret leaves this module only in a [`Target`], which can't be printed or serialised.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, params};
use serde::Serialize;

use super::{Error, Result, deliveries, millis, timestamp};
use crate::account::AccountId;
use crate::state::Transaction;

/// An endpoint without its secret, as a sysadmin sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    pub account: String,
    pub name: String,
    pub url: String,
    /// Whether the account's milestones go to it.
    pub chosen: bool,
    pub created_at: Timestamp,
    /// Since this time nothing is sent to it.
    pub disabled_at: Option<Timestamp>,
    pub disabled_reason: Option<String>,
    /// The time since which every attempt has failed.
    pub failing_since: Option<Timestamp>,
    /// Until this time the previous secret signs as well.
    pub old_secret_until: Option<Timestamp>,
}

/// What is needed to send to an endpoint.
pub struct Target {
    pub url: String,
    /// `whsec_…`
    pub secret: String,
    /// The previous secret, while it signs as well.
    pub old_secret: Option<String>,
    /// If the endpoint is disabled, the reason.
    pub disabled: Option<String>,
}

/// The outcome of [`add`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    Yes,
    /// The account has an endpoint of that name.
    NameTaken,
    NoAccount,
}

pub fn add(
    tx: &Transaction<'_>,
    at: Timestamp,
    account: &AccountId,
    name: &str,
    url: &str,
    secret: &str,
) -> Result<Added> {
    let account = account.as_str();
    let known = "SELECT 1 FROM account WHERE id = ?1";
    if tx.query_row(known, [account], |_| Ok(())).optional()?.is_none() {
        return Ok(Added::NoAccount);
    }
    let added = tx.execute(
        "INSERT INTO endpoint (account, name, url, secret, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO NOTHING",
        params![account, name, url, secret, millis(at)],
    )?;
    Ok(if added == 1 { Added::Yes } else { Added::NameTaken })
}

/// Returns the endpoints of `account`, or of all accounts, by account and name.
pub fn list(tx: &Transaction<'_>, account: Option<&AccountId>) -> Result<Vec<Endpoint>> {
    let mut statement = tx.prepare_cached(
        "SELECT e.account, e.name, e.url, a.webhook IS e.name, e.created_at, e.disabled_at,
                e.disabled_reason, e.failing_since, e.old_secret_until
         FROM endpoint e JOIN account a ON a.id = e.account
         WHERE ?1 IS NULL OR e.account = ?1 ORDER BY e.account, e.name",
    )?;
    let mut rows = statement.query([account.map(AccountId::as_str)])?;
    let mut endpoints = Vec::new();
    while let Some(row) = rows.next()? {
        endpoints.push(endpoint(row)?);
    }
    Ok(endpoints)
}

fn endpoint(row: &Row<'_>) -> Result<Endpoint> {
    let time = |column| row.get::<_, Option<i64>>(column)?.map(timestamp).transpose();
    Ok(Endpoint {
        account: row.get(0)?,
        name: row.get(1)?,
        url: row.get(2)?,
        chosen: row.get(3)?,
        created_at: timestamp(row.get(4)?)?,
        disabled_at: time(5)?,
        disabled_reason: row.get(6)?,
        failing_since: time(7)?,
        old_secret_until: time(8)?,
    })
}

/// Returns what is needed at `now` to send to the endpoint `name` of `account`. `None` if it does
/// not exist.
pub fn target(
    tx: &Transaction<'_>,
    account: &str,
    name: &str,
    now: Timestamp,
) -> Result<Option<Target>> {
    tx.prepare_cached(
        "SELECT url, secret, CASE WHEN old_secret_until > ?3 THEN old_secret END,
                CASE WHEN disabled_at IS NOT NULL THEN coalesce(disabled_reason, '') END
         FROM endpoint WHERE account = ?1 AND name = ?2",
    )?
    .query_row(params![account, name, millis(now)], |row| {
        let (url, secret) = (row.get(0)?, row.get(1)?);
        Ok(Target { url, secret, old_secret: row.get(2)?, disabled: row.get(3)? })
    })
    .optional()
    .map_err(Error::from)
}

/// Gives an endpoint the new `secret`; the present one signs as well until `old_until`.
///
/// A secret older than the present one is removed. Returns whether the endpoint exists.
pub fn rotate(
    tx: &Transaction<'_>,
    account: &AccountId,
    name: &str,
    secret: &str,
    old_until: Timestamp,
) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE endpoint SET old_secret = secret, old_secret_until = ?4, secret = ?3
         WHERE account = ?1 AND name = ?2",
        params![account.as_str(), name, secret, millis(old_until)],
    )?;
    Ok(changed == 1)
}

/// Records that an attempt at an endpoint failed at `at`. Returns the time since which all have.
pub fn failed(
    tx: &Transaction<'_>,
    at: Timestamp,
    account: &str,
    name: &str,
) -> Result<Option<Timestamp>> {
    tx.prepare_cached(
        "UPDATE endpoint SET failing_since = coalesce(failing_since, ?3)
         WHERE account = ?1 AND name = ?2 RETURNING failing_since",
    )?
    .query_row(params![account, name, millis(at)], |row| row.get(0))
    .optional()?
    .map(timestamp)
    .transpose()
}

/// Records that an attempt at an endpoint succeeded.
pub fn worked(tx: &Transaction<'_>, account: &str, name: &str) -> Result<()> {
    tx.prepare_cached(
        "UPDATE endpoint SET failing_since = NULL
         WHERE account = ?1 AND name = ?2 AND failing_since IS NOT NULL",
    )?
    .execute([account, name])?;
    Ok(())
}

/// Disables an endpoint. Pending deliveries to it fail with `reason`.
///
/// Returns whether it was enabled.
pub fn disable(
    tx: &Transaction<'_>,
    at: Timestamp,
    account: &str,
    name: &str,
    reason: &str,
) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE endpoint SET disabled_at = ?3, disabled_reason = ?4
         WHERE account = ?1 AND name = ?2 AND disabled_at IS NULL",
        params![account, name, millis(at), reason],
    )?;
    let why = format!("the endpoint is disabled: {reason}");
    deliveries::fail_pending(tx, at, account, name, &why)?;
    Ok(changed == 1)
}

/// Enables an endpoint. Returns whether it exists.
pub fn enable(tx: &Transaction<'_>, account: &AccountId, name: &str) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE endpoint SET disabled_at = NULL, disabled_reason = NULL, failing_since = NULL
         WHERE account = ?1 AND name = ?2",
        [account.as_str(), name],
    )?;
    Ok(changed == 1)
}

/// Removes an endpoint. Pending deliveries to it fail, and an account that had chosen it has none.
///
/// Returns whether the endpoint existed.
pub fn remove(
    tx: &Transaction<'_>,
    at: Timestamp,
    account: &AccountId,
    name: &str,
) -> Result<bool> {
    let key = [account.as_str(), name];
    tx.execute("UPDATE account SET webhook = NULL WHERE id = ?1 AND webhook = ?2", key)?;
    deliveries::fail_pending(tx, at, account.as_str(), name, "the endpoint was removed")?;
    Ok(tx.execute("DELETE FROM endpoint WHERE account = ?1 AND name = ?2", key)? == 1)
}

#[cfg(test)]
mod tests;
