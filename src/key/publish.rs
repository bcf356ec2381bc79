//! Publishes keys: replaces `keys.db` with the usable keys of the registry.
//!
//! Publishers take a lock, and each reads the registry after it has the lock. So the last one to
//! finish has seen every change that was committed before.

use std::ops::RangeInclusive;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, params};

use super::folder::Folder;
use crate::authorized_keys::lookup::SCHEMA;
use crate::authorized_keys::trust;
use crate::config::Config;
use crate::files::IoError;
use crate::registry::keys::{PublishableKey, for_each_usable};
use crate::registry::{self, Registry};

/// The keys could not be published. The last publication stays in force.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Io(#[from] IoError),
    /// Another user than root can change the path of the published keys.
    #[error("cannot use the path of the published keys")]
    Untrusted(#[source] trust::Error),
    #[error("cannot write the published keys")]
    Write(#[source] rusqlite::Error),
    #[error("cannot read the published keys")]
    Read(#[source] rusqlite::Error),
    #[error(transparent)]
    Registry(#[from] registry::Error),
}

/// Publishes every key that may be used at `now`, and returns their number. On return the keys are
/// in force and on disk.
pub fn publish(registry: &Registry, config: &Config, now: Timestamp) -> Result<u64, PublishError> {
    let folder = Folder::open(&config.paths.keys)?;
    let _turn = folder.lock()?;
    folder.replace(|new| write(registry, new, now, &config.accounts.uids()))
}

/// Writes the keys into the empty file at `path`. It needs no journal: after a crash nobody reads
/// the file.
fn write(
    registry: &Registry,
    path: &Path,
    now: Timestamp,
    uids: &RangeInclusive<u32>,
) -> Result<u64, PublishError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(path, flags).map_err(PublishError::Write)?;
    for (pragma, value) in
        [("journal_mode", "off"), ("synchronous", "off"), ("locking_mode", "exclusive")]
    {
        connection.pragma_update(None, pragma, value).map_err(PublishError::Write)?;
    }
    let transaction = connection.transaction().map_err(PublishError::Write)?;
    transaction.execute_batch(SCHEMA).map_err(PublishError::Write)?;
    let mut insert = transaction
        .prepare("INSERT INTO key VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
        .map_err(PublishError::Write)?;
    let take = |key: PublishableKey<'_>| {
        let PublishableKey { account, fingerprint, algorithm, public_key, from, expires_at } = key;
        insert
            .execute(params![account, fingerprint, algorithm, public_key, from, expires_at])
            .map(|_| ())
            .map_err(PublishError::Write)
    };
    let count = registry.read(|tx| for_each_usable(tx, now, uids, take))?;
    drop(insert);
    transaction.commit().map_err(PublishError::Write)?;
    connection.close().map_err(|(_, error)| PublishError::Write(error))?;
    Ok(count)
}
