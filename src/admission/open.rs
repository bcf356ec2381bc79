//! A registry for a new host: where there could have been one, a missing one is an error.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::config::Config;
use crate::registry::Registry;
use crate::state::{State, accounts};

use super::AdmissionError;

/// Makes an empty registry on a host that has no account yet.
///
/// # Errors
/// [`crate::registry::Error::Missing`] when accounts or published keys say that there was one, or a file
/// operation's.
pub fn begin_if_new(
    config: &Config,
    state: &State,
    actor: &str,
) -> Result<Registry, AdmissionError> {
    match is_new(config, state)? {
        true => Registry::begin(&config.paths.admin, actor, |_| Ok(())),
        false => Ok(Registry::open(&config.paths.admin, actor)?),
    }
}

/// Whether there is no sign of an account on this host.
fn is_new(config: &Config, state: &State) -> Result<bool, AdmissionError> {
    let accounts = state.read(accounts::list)?;
    Ok(accounts.is_empty() && !has_keys(&config.paths.keys_db()))
}

/// Whether keys are published, as far as that can be read; what can't be read may hold some.
fn has_keys(published: &Path) -> bool {
    if !published.exists() {
        return false;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let count = Connection::open_with_flags(published, flags)
        .and_then(|database| database.query_row("SELECT count(*) FROM key", [], |row| row.get(0)));
    count.map_or(true, |count: i64| count > 0)
}
