//! Compares the published keys with the registry. The helper reads only the published keys.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};

use super::error::PublishError;
use super::folder::owners;
use crate::authorized_keys::trust;
use crate::config::Config;
use crate::registry::keys::for_each_usable;
use crate::registry::{self, Registry};

/// The difference between the published keys and the registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishedDiff {
    /// The number of keys that should be valid but are not published.
    pub missing: usize,
    /// The number of published keys that should not be valid. Such keys were revoked or changed, or
    /// their account is suspended.
    pub stale: usize,
    /// The number of keys that are published exactly as they are in the registry.
    pub matching: usize,
}

type PublishedRow = (String, String, String, Option<String>, Option<i64>);

/// Compares the published keys with the keys that `registry` allows at `now`.
pub fn compare_published(
    registry: &Registry,
    config: &Config,
    now: Timestamp,
) -> Result<PublishedDiff, PublishError> {
    let mut wanted = BTreeSet::new();
    registry.read(|tx| {
        for_each_usable(tx, now, &config.accounts.uids(), |key| {
            wanted.insert((
                key.account.to_owned(),
                key.fingerprint.to_owned(),
                key.public_key.to_owned(),
                key.from.map(str::to_owned),
                key.expires_at,
            ));
            Ok::<_, registry::Error>(())
        })
    })?;
    let database =
        trust::check_file(&config.paths.keys_db(), &owners()).map_err(PublishError::Untrusted)?;
    let mut published = read_published(&database).map_err(PublishError::Read)?;
    // A published key that has expired is harmless, because the helper checks the time.
    published.retain(|key| key.4.is_none_or(|at| at > now.as_second()));
    Ok(PublishedDiff {
        missing: wanted.difference(&published).count(),
        stale: published.difference(&wanted).count(),
        matching: wanted.intersection(&published).count(),
    })
}

/// Returns whether any keys are published. Returns true as well if the database of published keys
/// can't be read.
pub fn are_any_published(config: &Config) -> bool {
    let database = config.paths.keys_db();
    database.exists() && read_published(&database).map_or(true, |keys| !keys.is_empty())
}

fn read_published(database: &Path) -> rusqlite::Result<BTreeSet<PublishedRow>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)?;
    let mut statement = connection
        .prepare("SELECT account, fingerprint, public_key, from_hosts, expires_at FROM key")?;
    let rows = statement.query_map([], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
    })?;
    rows.collect()
}
