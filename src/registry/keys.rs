//! The registry's table `approved`: keys. A revoked key stays as a row, so that no backup or state
//! database can bring it into use again.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::database::RegistryTransaction;
use super::error::{Error, Result};
use crate::account::AccountId;

/// A key that one of root's commands approved; it may be revoked since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovedKey {
    pub account: AccountId,
    pub name: String,
    /// `ssh-ed25519`, …
    pub algorithm: String,
    /// Base64, as in an authorized_keys line.
    pub public_key: String,
    /// `SHA256:…`
    pub fingerprint: String,
    /// The addresses and networks from which it may be used, separated by commas; `None` if from
    /// any.
    pub from: Option<String>,
    /// The first time at which it is not valid, in whole seconds; `None` if it doesn't expire.
    pub expires_at: Option<Timestamp>,
    pub approved_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

const COLUMNS: &str = "account, name, algorithm, public_key, fingerprint, from_hosts, expires_at, \
                       approved_at, revoked_at";

/// Adds a key, which may be revoked already. An error if the account does not exist, or has an
/// unrevoked key of that name or fingerprint.
pub fn add(tx: &RegistryTransaction<'_>, key: &ApprovedKey) -> Result<()> {
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

/// Returns the keys of `account`, or of all accounts, in the order they were added; revoked ones
/// only if `with_revoked`.
pub fn list(
    tx: &RegistryTransaction<'_>,
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

/// Returns the account's key of that name or fingerprint: the one that is not revoked, else the one
/// that was revoked last.
pub fn find(
    tx: &RegistryTransaction<'_>,
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

/// Revokes the account's key with that fingerprint. Returns false if it was revoked already.
pub fn revoke(
    tx: &RegistryTransaction<'_>,
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

/// The fields of a usable key that are published.
#[derive(Clone, Copy, Debug)]
pub struct PublishableKey<'row> {
    pub account: &'row str,
    /// `SHA256:…`
    pub fingerprint: &'row str,
    pub algorithm: &'row str,
    pub public_key: &'row str,
    /// As in [`ApprovedKey::from`].
    pub from: Option<&'row str>,
    /// Seconds since 1970 UTC.
    pub expires_at: Option<i64>,
}

/// Calls `take` with every key that is usable at `now`, in the order of account and fingerprint.
/// Returns how many.
///
/// A key is usable if it is not revoked, not expired, and belongs to an active account whose Unix
/// user id is in `uids`.
pub fn for_each_usable<E: From<Error>>(
    tx: &RegistryTransaction<'_>,
    now: Timestamp,
    uids: &RangeInclusive<u32>,
    mut take: impl FnMut(PublishableKey<'_>) -> std::result::Result<(), E>,
) -> std::result::Result<u64, E> {
    // Reads the index approved_key in its order, so that SQLite doesn't sort the keys.
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
        take(read_publishable(row).map_err(Error::from)?)?;
        count += 1;
    }
    Ok(count)
}

fn read_publishable<'row>(row: &'row Row<'_>) -> rusqlite::Result<PublishableKey<'row>> {
    let expires_at: Option<i64> = row.get(5)?;
    Ok(PublishableKey {
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

fn timestamp(millis: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(millis)
        .map_err(|_| Error::Value(format!("the time {millis} in milliseconds")))
}
