//! Endpoints: where an account's webhooks go. One writer of the table `endpoint`.
//!
//! The secret leaves this module only in a [`Target`], which is neither printed nor serialised.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use serde::Serialize;

use super::{Error, Result, deliveries, millis, timestamp};
use crate::account::AccountId;

/// An endpoint, as a sysadmin sees it: without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Whose.
    pub account: String,
    /// Its name, unique in the account.
    pub name: String,
    /// Where it is posted to.
    pub url: String,
    /// Whether it is the one that the account chose.
    pub chosen: bool,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was disabled; nothing is sent to it since.
    pub disabled_at: Option<Timestamp>,
    /// Why it was disabled.
    pub disabled_reason: Option<String>,
}

/// What sending to an endpoint takes.
pub struct Target {
    /// Where to.
    pub url: String,
    /// `whsec_…`
    pub secret: String,
    /// Why nothing must be sent, if so.
    pub disabled: Option<String>,
}

/// What became of adding an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is there.
    Yes,
    /// The account has one of that name.
    NameTaken,
    /// There is no such account.
    NoAccount,
}

/// Adds an endpoint.
///
/// # Errors
/// SQLite's.
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

/// The endpoints of `account`, or of all, by account and name.
///
/// # Errors
/// SQLite's.
pub fn list(tx: &Transaction<'_>, account: Option<&AccountId>) -> Result<Vec<Endpoint>> {
    let mut statement = tx.prepare_cached(
        "SELECT e.account, e.name, e.url, a.webhook IS e.name, e.created_at, e.disabled_at,
                e.disabled_reason
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
    Ok(Endpoint {
        account: row.get(0)?,
        name: row.get(1)?,
        url: row.get(2)?,
        chosen: row.get(3)?,
        created_at: timestamp(row.get(4)?)?,
        disabled_at: row.get::<_, Option<i64>>(5)?.map(timestamp).transpose()?,
        disabled_reason: row.get(6)?,
    })
}

/// What sending to the endpoint `name` of `account` takes; none: there is no such endpoint.
///
/// # Errors
/// SQLite's.
pub fn target(tx: &Transaction<'_>, account: &str, name: &str) -> Result<Option<Target>> {
    tx.prepare_cached(
        "SELECT url, secret, CASE WHEN disabled_at IS NOT NULL THEN coalesce(disabled_reason, '') END
         FROM endpoint WHERE account = ?1 AND name = ?2",
    )?
    .query_row([account, name], |row| {
        Ok(Target { url: row.get(0)?, secret: row.get(1)?, disabled: row.get(2)? })
    })
    .optional()
    .map_err(Error::from)
}

/// Sends nothing more to an endpoint: pending deliveries to it fail with `reason`.
///
/// Returns whether it was enabled until now.
///
/// # Errors
/// SQLite's.
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

/// Sends to an endpoint again from now on. Returns whether there is such an endpoint.
///
/// # Errors
/// SQLite's.
pub fn enable(tx: &Transaction<'_>, account: &AccountId, name: &str) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE endpoint SET disabled_at = NULL, disabled_reason = NULL
         WHERE account = ?1 AND name = ?2",
        [account.as_str(), name],
    )?;
    Ok(changed == 1)
}

/// Removes an endpoint; an account that chose it has none then, pending deliveries to it fail.
///
/// Returns whether there was such an endpoint.
///
/// # Errors
/// SQLite's.
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
mod tests {
    use super::*;
    use crate::state::State;

    #[test]
    fn lists_without_the_secret_and_forgets_the_choice_with_the_endpoint() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).unwrap();
        let (acme, at) = ("acme".parse().unwrap(), Timestamp::UNIX_EPOCH);
        state
            .write(|tx| {
                assert_eq!(add(tx, at, &acme, "crm", "https://a.example", "s")?, Added::NoAccount);
                tx.execute("INSERT INTO account (id, created_at) VALUES ('acme', 0)", [])?;
                assert_eq!(add(tx, at, &acme, "crm", "https://a.example", "s3cr")?, Added::Yes);
                assert_eq!(add(tx, at, &acme, "crm", "https://b.example", "x")?, Added::NameTaken);
                tx.execute("UPDATE account SET webhook = 'crm'", [])?;
                let listed = list(tx, Some(&acme))?;
                assert!(listed[0].chosen);
                assert!(!serde_json::to_string(&listed)?.contains("s3cr"));
                assert!(disable(tx, at, "acme", "crm", "gone")?);
                assert!(!disable(tx, at, "acme", "crm", "gone again")?);
                assert_eq!(target(tx, "acme", "crm")?.unwrap().disabled.unwrap(), "gone");
                assert!(enable(tx, &acme, "crm")?);
                assert!(target(tx, "acme", "crm")?.unwrap().disabled.is_none());
                assert!(remove(tx, at, &acme, "crm")?);
                assert!(!remove(tx, at, &acme, "crm")?);
                let chosen: Option<String> =
                    tx.query_row("SELECT webhook FROM account", [], |row| row.get(0))?;
                assert_eq!(chosen, None);
                Ok::<_, Error>(())
            })
            .unwrap();
    }
}
