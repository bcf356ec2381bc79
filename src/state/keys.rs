//! The table `key`. Every change adds a line to the activity log in the same transaction.
//!
//! The row of a revoked key stays. It documents which key could log in, and until when.

use jiff::Timestamp;
use rusqlite::{Row, params};
use serde::Serialize;

use super::accounts::as_text;
use super::db::transaction::{optional_time, parsed, time};
use super::{Result, Transaction, activity, millis};
use crate::account::AccountId;

/// A public key that belongs to an account. The key may be revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyRow {
    #[serde(serialize_with = "as_text")]
    pub account: AccountId,
    pub name: String,
    /// The algorithm of the key, such as `ssh-ed25519`.
    pub algorithm: String,
    /// The public key in Base64, as in a line of authorized_keys.
    pub public_key: String,
    /// The fingerprint of the key, which begins with `SHA256:`.
    pub fingerprint: String,
    /// The client addresses and networks that may use the key, separated by commas. `None` if any
    /// address may use the key.
    pub from: Option<String>,
    /// The time from which the key is no longer valid, in whole seconds. `None` if the key does not
    /// expire.
    pub expires_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    /// The time of the last login with the key, according to sshd's log. `None` if no login is
    /// known.
    pub last_used_at: Option<Timestamp>,
    /// The address of the client at the last login with the key.
    pub last_used_from: Option<String>,
}

const COLUMNS: &str = "account, name, algorithm, public_key, fingerprint, from_hosts, expires_at, \
                       created_at, revoked_at, last_used_at, last_used_from";

/// Adds a public key. Returns an error if the account does not exist, or if an unrevoked key of
/// the account has the same name or fingerprint.
pub fn add(tx: &Transaction<'_>, key: &KeyRow) -> Result<()> {
    let values = params![
        key.account.as_str(),
        key.name,
        key.algorithm,
        key.public_key,
        key.fingerprint,
        key.from,
        key.expires_at.map(millis),
        millis(key.created_at)
    ];
    tx.change(
        &format!(
            "INSERT INTO key ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL, NULL, NULL)"
        ),
        values,
    )?;
    log(tx, key.created_at, &key.account, "key.added", &key.name, &key.fingerprint)
}

/// Returns the keys of `account`, or of all accounts, in the order in which they were added.
/// Revoked keys are included only if `with_revoked` is true.
pub fn list(
    tx: &Transaction<'_>,
    account: Option<&AccountId>,
    with_revoked: bool,
) -> Result<Vec<KeyRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM key
         WHERE (?1 IS NULL OR account = ?1) AND (?2 OR revoked_at IS NULL) ORDER BY account, id"
    );
    tx.select(&sql, params![account.map(AccountId::as_str), with_revoked], from_row)
}

/// Returns the account's key with the given name or fingerprint. Prefers an unrevoked key to a
/// revoked one. Among revoked keys, returns the one that was revoked last.
pub fn find(
    tx: &Transaction<'_>,
    account: &AccountId,
    name_or_fingerprint: &str,
) -> Result<Option<KeyRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM key WHERE account = ?1 AND (name = ?2 OR fingerprint = ?2)
         ORDER BY revoked_at IS NOT NULL, revoked_at DESC LIMIT 1"
    );
    tx.select_first(&sql, [account.as_str(), name_or_fingerprint], from_row)
}

/// Revokes the account's key with the fingerprint of `key`. Returns false if that key was already
/// revoked.
pub fn revoke(tx: &Transaction<'_>, at: Timestamp, key: &KeyRow) -> Result<bool> {
    let revoked = tx.change(
        "UPDATE key SET revoked_at = ?3
         WHERE account = ?1 AND fingerprint = ?2 AND revoked_at IS NULL",
        params![key.account.as_str(), key.fingerprint, millis(at)],
    )?;
    if revoked == 1 {
        log(tx, at, &key.account, "key.revoked", &key.name, &key.fingerprint)?;
    }
    Ok(revoked == 1)
}

/// Records a login with the account's key that has the fingerprint, unless a later login is known.
/// If all keys with the fingerprint are revoked, the login is recorded for the key that was revoked
/// last.
pub fn record_login(
    tx: &Transaction<'_>,
    account: &AccountId,
    fingerprint: &str,
    at: Timestamp,
    from: &str,
) -> Result<()> {
    tx.change(
        "UPDATE key SET last_used_at = ?3, last_used_from = ?4
         WHERE id = (SELECT id FROM key WHERE account = ?1 AND fingerprint = ?2
                       AND created_at <= ?3
                     ORDER BY revoked_at IS NOT NULL, revoked_at DESC LIMIT 1)
           AND (last_used_at IS NULL OR last_used_at < ?3)",
        params![account.as_str(), fingerprint, millis(at), from],
    )?;
    Ok(())
}

fn from_row(row: &Row<'_>) -> Result<KeyRow> {
    Ok(KeyRow {
        account: parsed(row, "account")?,
        name: row.get("name")?,
        algorithm: row.get("algorithm")?,
        public_key: row.get("public_key")?,
        fingerprint: row.get("fingerprint")?,
        from: row.get("from_hosts")?,
        expires_at: optional_time(row, "expires_at")?,
        created_at: time(row, "created_at")?,
        revoked_at: optional_time(row, "revoked_at")?,
        last_used_at: optional_time(row, "last_used_at")?,
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
