//! Publishes keys: replaces `keys.db` with the usable keys of the registry.
//!
//! Each publisher first takes a lock and then reads the registry. Therefore the last publisher
//! publishes every change that was committed before.

use std::ops::RangeInclusive;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, params};

use super::error::PublishError;
use super::folder::KeysFolder;
use crate::authorized_keys::lookup::SCHEMA;
use crate::config::Config;
use crate::registry::Registry;
use crate::registry::keys::{PublishableKey, for_each_usable};

/// Publishes every key that may be used at `now`. Returns the number of published keys. On return
/// sshd uses the new keys, and they are on the disk.
pub fn publish(registry: &Registry, config: &Config, now: Timestamp) -> Result<u64, PublishError> {
    let folder = KeysFolder::open(&config.paths.keys)?;
    let _lock = folder.lock()?;
    folder.replace(|new| write(registry, new, now, &config.accounts.uids()))
}

/// Writes the keys into the empty file at `path`. The database needs no journal, because after a
/// crash nobody reads the unfinished file.
fn write(
    registry: &Registry,
    path: &Path,
    now: Timestamp,
    uids: &RangeInclusive<u32>,
) -> Result<u64, PublishError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(path, flags)?;
    for (pragma, value) in
        [("journal_mode", "off"), ("synchronous", "off"), ("locking_mode", "exclusive")]
    {
        connection.pragma_update(None, pragma, value)?;
    }
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    let mut insert = transaction.prepare("INSERT INTO key VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    let take = |key: PublishableKey<'_>| {
        let PublishableKey { account, fingerprint, algorithm, public_key, from, expires_at } = key;
        insert.execute(params![account, fingerprint, algorithm, public_key, from, expires_at])?;
        Ok::<_, PublishError>(())
    };
    let count = registry.read(|tx| for_each_usable(tx, now, uids, take))?;
    drop(insert);
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(count)
}
