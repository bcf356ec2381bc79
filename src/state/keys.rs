//! Keys in the state database. Every change is logged in the activity log with it.
//!
//! A revoked key stays as a row: it is the answer to "who could log in, and until when".

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

use super::accounts::as_text;
use super::{Error, Result, activity, millis, timestamp};
use crate::account::AccountId;
use crate::state::Transaction;

/// A key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyRow {
    /// Whose.
    #[serde(serialize_with = "as_text")]
    pub account: AccountId,
    /// What the account calls it.
    pub name: String,
    /// Its type, such as `ssh-ed25519`.
    pub algorithm: String,
    /// The key itself, base64.
    pub public_key: String,
    /// `SHA256:…`
    pub fingerprint: String,
    /// Addresses and networks it may be used from, with commas between; none: from anywhere.
    pub from: Option<String>,
    /// The first moment it no longer works, in whole seconds; none: it doesn't expire.
    pub expires_at: Option<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Its last login, by sshd's log; none: never, or nobody heard of it.
    pub last_used_at: Option<Timestamp>,
    /// From which address.
    pub last_used_from: Option<String>,
}

const COLUMNS: &str = "account, name, algorithm, public_key, fingerprint, from_hosts, expires_at, \
                       created_at, revoked_at, last_used_at, last_used_from";

/// Adds a key.
///
/// # Errors
/// SQLite's; the account has no such id, or an unrevoked key of that name or fingerprint.
pub fn add(tx: &Transaction<'_>, key: &KeyRow) -> Result<()> {
    tx.prepare_cached(&format!(
        "INSERT INTO key ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL, NULL, NULL)"
    ))?
    .execute(params![
        key.account.as_str(),
        key.name,
        key.algorithm,
        key.public_key,
        key.fingerprint,
        key.from,
        key.expires_at.map(millis),
        millis(key.created_at)
    ])?;
    log(tx, key.created_at, &key.account, "key.added", &key.name, &key.fingerprint)
}

/// Every key of `account`, or of all, in the order they were added; revoked ones only when
/// `with_revoked`.
///
/// # Errors
/// SQLite's, or a row is not one of ours.
pub fn list(
    tx: &Transaction<'_>,
    account: Option<&AccountId>,
    with_revoked: bool,
) -> Result<Vec<KeyRow>> {
    let mut statement = tx.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM key
         WHERE (?1 IS NULL OR account = ?1) AND (?2 OR revoked_at IS NULL) ORDER BY account, id"
    ))?;
    let account = account.map(AccountId::as_str);
    let rows = statement.query_map(params![account, with_revoked], |row| Ok(from_row(row)))?;
    rows.map(|row| row?).collect()
}

/// The account's key of that name or fingerprint: the one that is not revoked, else the one that
/// was revoked last.
///
/// # Errors
/// SQLite's, or the row is not one of ours.
pub fn find(
    tx: &Transaction<'_>,
    account: &AccountId,
    name_or_fingerprint: &str,
) -> Result<Option<KeyRow>> {
    tx.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM key WHERE account = ?1 AND (name = ?2 OR fingerprint = ?2)
         ORDER BY revoked_at IS NOT NULL, revoked_at DESC LIMIT 1"
    ))?
    .query_row(params![account.as_str(), name_or_fingerprint], |row| Ok(from_row(row)))
    .optional()?
    .transpose()
}

/// Revokes the account's key with that fingerprint. False when it was revoked already.
pub fn revoke(tx: &Transaction<'_>, at: Timestamp, key: &KeyRow) -> Result<bool> {
    let revoked = tx
        .prepare_cached(
            "UPDATE key SET revoked_at = ?3
             WHERE account = ?1 AND fingerprint = ?2 AND revoked_at IS NULL",
        )?
        .execute(params![key.account.as_str(), key.fingerprint, millis(at)])?;
    if revoked == 1 {
        log(tx, at, &key.account, "key.revoked", &key.name, &key.fingerprint)?;
    }
    Ok(revoked == 1)
}

/// Notes a login with the account's key of that fingerprint, unless a later one is known. Of keys
/// that are revoked, it is the one that was revoked last.
pub fn used(
    tx: &Transaction<'_>,
    account: &AccountId,
    fingerprint: &str,
    at: Timestamp,
    from: &str,
) -> Result<()> {
    tx.prepare_cached(
        "UPDATE key SET last_used_at = ?3, last_used_from = ?4
         WHERE id = (SELECT id FROM key WHERE account = ?1 AND fingerprint = ?2
                       AND created_at <= ?3
                     ORDER BY revoked_at IS NOT NULL, revoked_at DESC LIMIT 1)
           AND (last_used_at IS NULL OR last_used_at < ?3)",
    )?
    .execute(params![account.as_str(), fingerprint, millis(at), from])?;
    Ok(())
}

fn from_row(row: &Row<'_>) -> Result<KeyRow> {
    let account: String = row.get("account")?;
    let time = |column: &str| -> Result<Option<Timestamp>> {
        row.get::<_, Option<i64>>(column)?.map(timestamp).transpose()
    };
    Ok(KeyRow {
        account: account
            .parse()
            .map_err(|_| Error::Value(format!("the account id {account:?}")))?,
        name: row.get("name")?,
        algorithm: row.get("algorithm")?,
        public_key: row.get("public_key")?,
        fingerprint: row.get("fingerprint")?,
        from: row.get("from_hosts")?,
        expires_at: time("expires_at")?,
        created_at: timestamp(row.get("created_at")?)?,
        revoked_at: time("revoked_at")?,
        last_used_at: time("last_used_at")?,
        last_used_from: row.get("last_used_from")?,
    })
}

fn log(
    tx: &Transaction<'_>,
    at: Timestamp,
    account: &AccountId,
    action: &str,
    name: &str,
    fingerprint: &str,
) -> Result<()> {
    activity::log(tx, at, Some(account), None, action, &format!("{name} {fingerprint}"))
}
