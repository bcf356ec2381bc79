//! The table `endpoint`: the URLs to which the accounts' webhooks are sent.
//!
//! A secret leaves this module only in an [`EndpointTarget`]. An `EndpointTarget` cannot be
//! printed or serialised.

use jiff::Timestamp;
use rusqlite::{Row, params};
use serde::Serialize;

use super::db::transaction::{optional_time, time};
use super::{Result, Transaction, deliveries, millis};
use crate::account::AccountId;

/// A webhook endpoint without its secret, as commands show it to a sysadmin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    pub account: String,
    pub name: String,
    pub url: String,
    /// Whether the account's milestones are sent to the endpoint.
    pub chosen: bool,
    pub created_at: Timestamp,
    /// The time at which the endpoint was disabled. No webhook is sent to a disabled endpoint.
    pub disabled_at: Option<Timestamp>,
    pub disabled_reason: Option<String>,
    /// The time since which every attempt at the endpoint has failed. `None` if the last attempt
    /// succeeded.
    pub failing_since: Option<Timestamp>,
    /// The time until which the previous secret signs webhooks in addition to the present secret.
    pub old_secret_until: Option<Timestamp>,
}

/// The data that an attempt at a delivery to an endpoint needs.
pub struct EndpointTarget {
    pub url: String,
    /// The present secret of the endpoint, which begins with `whsec_`.
    pub secret: String,
    /// The previous secret of the endpoint. `None` if only the present secret signs webhooks.
    pub old_secret: Option<String>,
    /// The reason why the endpoint is disabled. `None` if the endpoint is enabled.
    pub disabled: Option<String>,
}

/// The result of [`add`], which adds an endpoint to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddOutcome {
    Added,
    /// The account already has an endpoint with the same name.
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

/// Returns the endpoints of `account`, or of all accounts, sorted by account and name.
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

/// Returns the data that an attempt at the endpoint `name` of `account` needs at the time `now`.
/// Returns `None` if the endpoint does not exist.
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

/// Replaces the secret of an endpoint by `secret`. The replaced secret signs webhooks as well until
/// `old_until`.
///
/// Any earlier secret is removed. Returns false if the endpoint does not exist.
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

/// Records that an attempt at an endpoint failed at the time `at`. Returns the time since which
/// every attempt at the endpoint has failed.
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

/// Records that an attempt at an endpoint succeeded, so that the endpoint is not failing any more.
pub fn record_success(tx: &Transaction<'_>, account: &str, name: &str) -> Result<()> {
    tx.change(
        "UPDATE endpoint SET failing_since = NULL
         WHERE account = ?1 AND name = ?2 AND failing_since IS NOT NULL",
        [account, name],
    )?;
    Ok(())
}

/// Disables an endpoint. Pending deliveries to the endpoint fail with `reason`.
///
/// Returns false if the endpoint was already disabled or does not exist.
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

/// Enables an endpoint. Returns false if the endpoint does not exist.
pub fn enable(tx: &Transaction<'_>, account: &AccountId, name: &str) -> Result<bool> {
    let changed = tx.change(
        "UPDATE endpoint SET disabled_at = NULL, disabled_reason = NULL, failing_since = NULL
         WHERE account = ?1 AND name = ?2",
        [account.as_str(), name],
    )?;
    Ok(changed == 1)
}

/// Removes an endpoint. Pending deliveries to the endpoint fail. If the endpoint got the account's
/// milestones, the account then has no endpoint for them.
///
/// Returns false if the endpoint does not exist.
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
