//! The table `account` of the state database. Every change adds a line to the activity log in the
//! same transaction.

use std::fmt;

use jiff::Timestamp;
use rusqlite::{Row, params};
use serde::{Serialize, Serializer};

use super::db::transaction::{parsed, time};
use super::{Result, Transaction, activity, millis};
use crate::account::AccountId;
use crate::account_state::AccountState;
use crate::recipient::RecipientRule;

/// An account of the state database, with its settings for mail and webhooks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountRow {
    /// The name of the SFTP user and of the Unix user.
    #[serde(serialize_with = "as_text")]
    pub id: AccountId,
    /// The id of the account's Unix user and group. `None` before the account's first key.
    pub uid: Option<u32>,
    pub state: AccountState,
    /// The account's contact. The contact gets a mail when an import fails, when a manifest can't
    /// be parsed, and when the recipient that a manifest names is not allowed.
    pub email: Option<String>,
    /// The addresses that may get mail about the account's imports.
    pub recipients: RecipientRule,
    /// The name of the endpoint that gets the account's milestones.
    pub webhook: Option<String>,
    pub created_at: Timestamp,
}

/// Serialises a value as the text of its `Display`.
pub(crate) fn as_text<S: Serializer>(
    value: &impl fmt::Display,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

const COLUMNS: &str =
    "id, uid, state, email, recipient_domains, recipient_addresses, webhook, created_at";

/// Adds an active account. Returns false and changes nothing if the id `id` is already used by an
/// account.
pub fn add(
    tx: &Transaction<'_>,
    at: Timestamp,
    id: &AccountId,
    email: Option<&str>,
    recipients: &RecipientRule,
) -> Result<bool> {
    let (domains, addresses) = to_columns(recipients)?;
    let added = tx.change(
        "INSERT INTO account (id, email, recipient_domains, recipient_addresses, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO NOTHING",
        params![id.as_str(), email, domains, addresses, millis(at)],
    )?;
    if added == 1 {
        activity::log(tx, at, Some(id), None, "account.added", "")?;
    }
    Ok(added == 1)
}

pub fn get(tx: &Transaction<'_>, id: &AccountId) -> Result<Option<AccountRow>> {
    let sql = format!("SELECT {COLUMNS} FROM account WHERE id = ?1");
    tx.select_first(&sql, [id.as_str()], from_row)
}

/// Returns all accounts of the state database in the order of their ids.
pub fn list(tx: &Transaction<'_>) -> Result<Vec<AccountRow>> {
    tx.select(&format!("SELECT {COLUMNS} FROM account ORDER BY id"), [], from_row)
}

fn from_row(row: &Row<'_>) -> Result<AccountRow> {
    Ok(AccountRow {
        id: parsed(row, "id")?,
        uid: row.get("uid")?,
        state: parsed(row, "state")?,
        email: row.get("email")?,
        recipients: from_columns(row.get("recipient_domains")?, row.get("recipient_addresses")?)?,
        webhook: row.get("webhook")?,
        created_at: time(row, "created_at")?,
    })
}

/// Returns a recipient rule as the values of the columns `recipient_domains` and
/// `recipient_addresses`.
fn to_columns(rule: &RecipientRule) -> Result<(Option<String>, String)> {
    let RecipientRule::Limited { addresses, domains } = rule else {
        return Ok((None, "[]".to_owned()));
    };
    Ok((Some(serde_json::to_string(domains)?), serde_json::to_string(addresses)?))
}

fn from_columns(domains: Option<String>, addresses: String) -> Result<RecipientRule> {
    let Some(domains) = domains else { return Ok(RecipientRule::Any) };
    let (addresses, domains) = (serde_json::from_str(&addresses)?, serde_json::from_str(&domains)?);
    Ok(RecipientRule::Limited { addresses, domains })
}

/// Sets the Unix user id of an account. Clears the id in any other account that has the same id.
pub fn set_uid(tx: &Transaction<'_>, id: &AccountId, uid: u32) -> Result<()> {
    let values = params![id.as_str(), uid];
    tx.change("UPDATE account SET uid = NULL WHERE uid = ?2 AND id <> ?1", values)?;
    tx.change("UPDATE account SET uid = ?2 WHERE id = ?1", values)?;
    Ok(())
}

/// Sets the state of an account. Returns false, changes nothing and logs nothing if the account
/// already has the state.
pub fn set_state(
    tx: &Transaction<'_>,
    at: Timestamp,
    id: &AccountId,
    state: AccountState,
) -> Result<bool> {
    let sql = "UPDATE account SET state = ?2 WHERE id = ?1 AND state <> ?2";
    let changed = tx.change(sql, [id.as_str(), state.as_str()])?;
    let action = match state {
        AccountState::Active => "account.resumed",
        AccountState::Suspended => "account.suspended",
        AccountState::Removing => "account.removing",
    };
    if changed == 1 {
        activity::log(tx, at, Some(id), None, action, "")?;
    }
    Ok(changed == 1)
}

/// Sets or clears the contact of an account.
pub fn set_contact(
    tx: &Transaction<'_>,
    at: Timestamp,
    id: &AccountId,
    email: Option<&str>,
) -> Result<()> {
    tx.change("UPDATE account SET email = ?2 WHERE id = ?1", params![id.as_str(), email])?;
    let detail = format!("contact: {}", email.unwrap_or("none"));
    activity::log(tx, at, Some(id), None, "account.changed", &detail)
}

/// Sets the rule for the recipients of mail about an account.
pub fn set_recipients(
    tx: &Transaction<'_>,
    at: Timestamp,
    id: &AccountId,
    rule: &RecipientRule,
) -> Result<()> {
    let (domains, addresses) = to_columns(rule)?;
    tx.change(
        "UPDATE account SET recipient_domains = ?2, recipient_addresses = ?3 WHERE id = ?1",
        params![id.as_str(), domains, addresses],
    )?;
    let detail = format!("mail recipients: {rule}");
    activity::log(tx, at, Some(id), None, "account.changed", &detail)
}

/// Sets or clears the endpoint that gets an account's milestones. Returns false and changes nothing
/// if the account has no endpoint with the name.
pub fn set_webhook(
    tx: &Transaction<'_>,
    at: Timestamp,
    id: &AccountId,
    name: Option<&str>,
) -> Result<bool> {
    let changed = tx.change(
        "UPDATE account SET webhook = ?2 WHERE id = ?1 AND (?2 IS NULL
         OR EXISTS (SELECT 1 FROM endpoint WHERE account = ?1 AND name = ?2))",
        params![id.as_str(), name],
    )?;
    if changed == 1 {
        let detail = format!("endpoint for webhooks: {}", name.unwrap_or("none"));
        activity::log(tx, at, Some(id), None, "account.changed", &detail)?;
    }
    Ok(changed == 1)
}

/// Returns the number of an account's imports that have not ended.
pub fn unfinished_imports(tx: &Transaction<'_>, id: &AccountId) -> Result<u32> {
    Ok(tx
        .prepare_cached(
            "SELECT count(*) FROM import
             WHERE account = ?1 AND state IN ('claiming', 'queued', 'running')",
        )?
        .query_row([id.as_str()], |row| row.get(0))?)
}

/// Removes the row of an account, its keys and its endpoints. The account's imports and activity
/// log lines stay.
pub fn remove(tx: &Transaction<'_>, at: Timestamp, id: &AccountId) -> Result<()> {
    if tx.change("DELETE FROM account WHERE id = ?1", [id.as_str()])? == 1 {
        activity::log(tx, at, Some(id), None, "account.removed", "")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Error, State};

    #[test]
    fn accounts_are_added_changed_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).unwrap();
        let id: AccountId = "acme".parse().unwrap();
        let at: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let actions: Vec<String> = state
            .write(|tx| {
                let rule = RecipientRule::limited(Some("a@b.c"), vec![], None);
                assert!(add(tx, at, &id, Some("a@b.c"), &rule)?);
                assert!(!add(tx, at, &id, None, &RecipientRule::Any)?);
                set_uid(tx, &id, 70_000)?;
                assert!(set_state(tx, at, &id, AccountState::Suspended)?);
                assert!(!set_state(tx, at, &id, AccountState::Suspended)?);
                set_contact(tx, at, &id, None)?;
                assert!(!set_webhook(tx, at, &id, Some("nowhere"))?);
                assert!(set_webhook(tx, at, &id, None)?);
                let account = get(tx, &id)?.unwrap();
                assert_eq!(
                    serde_json::to_value(&account)?,
                    serde_json::json!({"id": "acme", "uid": 70_000, "state": "suspended",
                        "email": null, "webhook": null, "createdAt": "2026-01-02T03:04:05Z",
                        "recipients": {"limited": {"addresses": [], "domains": ["b.c"]}}})
                );
                assert_eq!(list(tx)?, [account]);
                for rule in
                    [RecipientRule::limited(None, vec!["x@y.z".into()], None), RecipientRule::Any]
                {
                    set_recipients(tx, at, &id, &rule)?;
                    assert_eq!(get(tx, &id)?.unwrap().recipients, rule);
                }
                remove(tx, at, &id)?;
                assert_eq!(get(tx, &id)?, None);
                let lines = activity::recent(tx, Some(&id), 10)?;
                Ok::<_, Error>(lines.into_iter().map(|line| line.action).collect())
            })
            .unwrap();
        let changed = "account.changed";
        assert_eq!(
            actions,
            [
                "account.added",
                "account.suspended",
                changed,
                changed,
                changed,
                changed,
                "account.removed"
            ]
        );
    }
}
