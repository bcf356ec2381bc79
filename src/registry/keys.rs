//! The table `approved` of the registry, which contains the keys. The row of a revoked key stays,
//! so that no backup and no state database can make the key valid again.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::database::RegistryTransaction;
use super::error::{Error, Result};
use crate::account::AccountId;

/// A key that a command of root approved. The key may have been revoked later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovedKey {
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
    pub approved_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

const COLUMNS: &str = "account, name, algorithm, public_key, fingerprint, from_hosts, expires_at, \
                       approved_at, revoked_at";

/// Adds a key, which may already be revoked. Returns an error if the account does not exist, or if
/// an unrevoked key of the account has the same name or fingerprint.
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

/// Returns the keys of `account`, or of all accounts, in the order in which root added them.
/// Revoked keys are included only if `with_revoked` is true.
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

/// Returns the account's key with the given name or fingerprint. If an unrevoked and a revoked key
/// match, returns the unrevoked key. If only revoked keys match, returns the key that was revoked
/// last.
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

/// Revokes the account's key with the given fingerprint. Returns false if the key was already
/// revoked.
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

/// The fields of a usable key that are written to `keys.db`.
#[derive(Clone, Copy, Debug)]
pub struct PublishableKey<'row> {
    pub account: &'row str,
    /// The fingerprint of the key, which begins with `SHA256:`.
    pub fingerprint: &'row str,
    pub algorithm: &'row str,
    pub public_key: &'row str,
    /// The client addresses and networks that may use the key, separated by commas. `None` if any
    /// address may use the key.
    pub from: Option<&'row str>,
    /// The time from which the key is no longer valid, in seconds since 1970 UTC. `None` if the key
    /// does not expire.
    pub expires_at: Option<i64>,
}

/// Calls `take` for every key that is usable at `now`, in the order of account and fingerprint.
/// Returns the number of these keys.
///
/// A key is usable if it is neither revoked nor expired, and if its account is active and has a
/// Unix user id in `uids`.
pub fn for_each_usable<E: From<Error>>(
    tx: &RegistryTransaction<'_>,
    now: Timestamp,
    uids: &RangeInclusive<u32>,
    mut take: impl FnMut(PublishableKey<'_>) -> std::result::Result<(), E>,
) -> std::result::Result<u64, E> {
    // The query reads the keys in the order of the index approved_key. Therefore SQLite does not
    // have to sort the keys.
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
            .map_err(|_| Error::Value(format!("the invalid account id {account:?}")))?,
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
        .map_err(|_| Error::Value(format!("the invalid time {millis}")))
}
