//! Keys in the registry. A revoked key stays as a row: it must not come back by itself.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::{Error, Result, Transaction, timestamp};
use crate::account::AccountId;

/// A key that root's commands approved, and perhaps revoked since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovedKey {
    /// Whose.
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
    /// When it was approved.
    pub approved_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

const COLUMNS: &str = "account, name, algorithm, public_key, fingerprint, from_hosts, expires_at, \
                       approved_at, revoked_at";

/// Adds a key, which may be revoked already.
///
/// # Errors
/// SQLite's; the account has no such id, or an unrevoked key of that name or fingerprint.
pub fn add(tx: &Transaction<'_>, key: &ApprovedKey) -> Result<()> {
    tx.prepare_cached(&format!(
        "INSERT INTO approved ({COLUMNS}, approved_by, revoked_by)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, iif(?9 IS NULL, NULL, ?10))"
    ))?
    .execute(params![
        key.account.as_str(),
        key.name,
        key.algorithm,
        key.public_key,
        key.fingerprint,
        key.from,
        key.expires_at.map(Timestamp::as_millisecond),
        key.approved_at.as_millisecond(),
        key.revoked_at.map(Timestamp::as_millisecond),
        tx.actor,
    ])?;
    Ok(())
}

/// The keys of `account`, or of all, in the order they were added; revoked ones only when
/// `with_revoked`.
///
/// # Errors
/// SQLite's, or a row is not one of ours.
pub fn list(
    tx: &Transaction<'_>,
    account: Option<&AccountId>,
    with_revoked: bool,
) -> Result<Vec<ApprovedKey>> {
    let of = account.map_or("", |_| "account = ?1 AND");
    let mut statement = tx.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM approved WHERE {of} (?2 OR revoked_at IS NULL) ORDER BY account, id"
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
) -> Result<Option<ApprovedKey>> {
    tx.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM approved WHERE account = ?1 AND (name = ?2 OR fingerprint = ?2)
         ORDER BY revoked_at IS NOT NULL, revoked_at DESC LIMIT 1"
    ))?
    .query_row([account.as_str(), name_or_fingerprint], |row| Ok(from_row(row)))
    .optional()?
    .transpose()
}

/// Revokes the account's key with that fingerprint. False when it was revoked already.
///
/// # Errors
/// SQLite's.
pub fn revoke(
    tx: &Transaction<'_>,
    at: Timestamp,
    account: &AccountId,
    fingerprint: &str,
) -> Result<bool> {
    let revoked = tx
        .prepare_cached(
            "UPDATE approved SET revoked_at = ?3, revoked_by = ?4
             WHERE account = ?1 AND fingerprint = ?2 AND revoked_at IS NULL",
        )?
        .execute(params![account.as_str(), fingerprint, at.as_millisecond(), tx.actor])?;
    Ok(revoked == 1)
}

/// One key that may be used, as it is published.
#[derive(Clone, Copy, Debug)]
pub struct Publishable<'row> {
    /// Whose.
    pub account: &'row str,
    /// `SHA256:…`
    pub fingerprint: &'row str,
    /// Its type.
    pub algorithm: &'row str,
    /// The key itself, base64.
    pub public_key: &'row str,
    /// As in [`ApprovedKey::from`].
    pub from: Option<&'row str>,
    /// In seconds since 1970 UTC.
    pub expires_at: Option<i64>,
}

/// Hands every key that may be used at `now` (not revoked, not expired, of an active account whose
/// Unix user id is one of `uids`) to `take`, in the order of account and fingerprint. Returns how
/// many.
///
/// # Errors
/// SQLite's, or what `take` returned.
pub fn each_usable<E: From<Error>>(
    tx: &Transaction<'_>,
    now: Timestamp,
    uids: &RangeInclusive<u32>,
    mut take: impl FnMut(Publishable<'_>) -> std::result::Result<(), E>,
) -> std::result::Result<u64, E> {
    // Walks approved_key in its order; no sort, however many keys there are.
    let mut statement = tx
        .prepare_cached(
            "SELECT approved.account, fingerprint, algorithm, public_key, from_hosts, expires_at
             FROM approved INDEXED BY approved_key
             WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?1)
               AND account IN (SELECT id FROM account
                               WHERE state = 'active' AND uid BETWEEN ?2 AND ?3)
             ORDER BY approved.account, fingerprint",
        )
        .map_err(Error::from)?;
    let mut rows = statement
        .query(params![now.as_millisecond(), uids.start(), uids.end()])
        .map_err(Error::from)?;
    let mut count = 0;
    while let Some(row) = rows.next().map_err(Error::from)? {
        take(publishable(row).map_err(Error::from)?)?;
        count += 1;
    }
    Ok(count)
}

fn publishable<'row>(row: &'row Row<'_>) -> rusqlite::Result<Publishable<'row>> {
    let expires_at: Option<i64> = row.get(5)?;
    Ok(Publishable {
        account: row.get_ref(0)?.as_str()?,
        fingerprint: row.get_ref(1)?.as_str()?,
        algorithm: row.get_ref(2)?.as_str()?,
        public_key: row.get_ref(3)?.as_str()?,
        from: row.get_ref(4)?.as_str_or_null()?,
        expires_at: expires_at.map(|millis| millis.div_euclid(1000)),
    })
}

pub(super) fn from_row(row: &Row<'_>) -> Result<ApprovedKey> {
    let account: String = row.get("account")?;
    let time = |column: &str| -> Result<Option<Timestamp>> {
        row.get::<_, Option<i64>>(column)?.map(timestamp).transpose()
    };
    Ok(ApprovedKey {
        account: account
            .parse()
            .map_err(|_| Error::Value(format!("the account id {account:?}")))?,
        name: row.get("name")?,
        algorithm: row.get("algorithm")?,
        public_key: row.get("public_key")?,
        fingerprint: row.get("fingerprint")?,
        from: row.get("from_hosts")?,
        expires_at: time("expires_at")?,
        approved_at: timestamp(row.get("approved_at")?)?,
        revoked_at: time("revoked_at")?,
    })
}
