//! The table `endpoint`: where an account's webhooks are sent.
//!
//! A secret leaves this module only in an [`EndpointTarget`], which can't be printed or serialised.

use jiff::Timestamp;
use rusqlite::{Row, params};
use serde::Serialize;

use super::db::transaction::{optional_time, time};
use super::{Result, Transaction, deliveries, millis};
use crate::account::AccountId;

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
pub struct EndpointTarget {
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
pub enum AddOutcome {
    Added,
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
) -> Result<AddOutcome> {
    let account = account.as_str();
    let exists = "SELECT 1 FROM account WHERE id = ?1";
    if tx.select_first(exists, [account], |_| Ok(()))?.is_none() {
        return Ok(AddOutcome::NoAccount);
    }
    let added = tx.change(
        "INSERT INTO endpoint (account, name, url, secret, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO NOTHING",
        params![account, name, url, secret, millis(at)],
    )?;
    Ok(if added == 1 { AddOutcome::Added } else { AddOutcome::NameTaken })
}

/// Returns the endpoints of `account`, or of all accounts, by account and name.
pub fn list(tx: &Transaction<'_>, account: Option<&AccountId>) -> Result<Vec<Endpoint>> {
    tx.select(
        "SELECT e.account, e.name, e.url, a.webhook IS e.name AS chosen, e.created_at,
                e.disabled_at, e.disabled_reason, e.failing_since, e.old_secret_until
         FROM endpoint e JOIN account a ON a.id = e.account
         WHERE ?1 IS NULL OR e.account = ?1 ORDER BY e.account, e.name",
        [account.map(AccountId::as_str)],
        from_row,
    )
}

fn from_row(row: &Row<'_>) -> Result<Endpoint> {
    Ok(Endpoint {
        account: row.get("account")?,
        name: row.get("name")?,
        url: row.get("url")?,
        chosen: row.get("chosen")?,
        created_at: time(row, "created_at")?,
        disabled_at: optional_time(row, "disabled_at")?,
        disabled_reason: row.get("disabled_reason")?,
        failing_since: optional_time(row, "failing_since")?,
        old_secret_until: optional_time(row, "old_secret_until")?,
    })
}

/// Returns what is needed at `now` to send to the endpoint `name` of `account`. `None` if it does
/// not exist.
pub fn find_target(
    tx: &Transaction<'_>,
    account: &str,
    name: &str,
    now: Timestamp,
) -> Result<Option<EndpointTarget>> {
    tx.select_first(
        "SELECT url, secret, CASE WHEN old_secret_until > ?3 THEN old_secret END,
                CASE WHEN disabled_at IS NOT NULL THEN coalesce(disabled_reason, '') END
         FROM endpoint WHERE account = ?1 AND name = ?2",
        params![account, name, millis(now)],
        |row| {
            let (url, secret) = (row.get(0)?, row.get(1)?);
            Ok(EndpointTarget { url, secret, old_secret: row.get(2)?, disabled: row.get(3)? })
        },
    )
}

/// Gives an endpoint the new `secret`; the present one signs as well until `old_until`.
///
/// A secret older than the present one is removed. Returns whether the endpoint exists.
pub fn rotate_secret(
    tx: &Transaction<'_>,
    account: &AccountId,
    name: &str,
    secret: &str,
    old_until: Timestamp,
) -> Result<bool> {
    let changed = tx.change(
        "UPDATE endpoint SET old_secret = secret, old_secret_until = ?4, secret = ?3
         WHERE account = ?1 AND name = ?2",
        params![account.as_str(), name, secret, millis(old_until)],
    )?;
    Ok(changed == 1)
}

/// Records that an attempt at an endpoint failed at `at`. Returns the time since which all have.
pub fn record_failure(
    tx: &Transaction<'_>,
    at: Timestamp,
    account: &str,
    name: &str,
) -> Result<Option<Timestamp>> {
    tx.select_first(
        "UPDATE endpoint SET failing_since = coalesce(failing_since, ?3)
         WHERE account = ?1 AND name = ?2 RETURNING failing_since",
        params![account, name, millis(at)],
        |row| time(row, 0),
    )
}

/// Records that an attempt at an endpoint succeeded.
pub fn record_success(tx: &Transaction<'_>, account: &str, name: &str) -> Result<()> {
    tx.change(
        "UPDATE endpoint SET failing_since = NULL
         WHERE account = ?1 AND name = ?2 AND failing_since IS NOT NULL",
        [account, name],
    )?;
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
    let changed = tx.change(
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
    let changed = tx.change(
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
    tx.change("UPDATE account SET webhook = NULL WHERE id = ?1 AND webhook = ?2", key)?;
    deliveries::fail_pending(tx, at, account.as_str(), name, "the endpoint was removed")?;
    Ok(tx.change("DELETE FROM endpoint WHERE account = ?1 AND name = ?2", key)? == 1)
}

#[cfg(test)]
mod tests;
