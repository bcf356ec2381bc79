//! A registry for a new host: where there could have been one, a missing one is an error.

use crate::config::Config;
use crate::key;
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
    Ok(accounts.is_empty() && !key::are_any_published(config))
}
