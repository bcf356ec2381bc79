//! Creates the registry of a new host. On any other host a missing registry is an error.

use crate::config::Config;
use crate::key;
use crate::registry::Registry;
use crate::state::{State, accounts};

use super::AdmissionError;

/// Opens the registry, or creates an empty one on a host that has no account yet.
///
/// # Errors
/// [`crate::registry::Error::Missing`] if there is no registry, but accounts or published keys show
/// that there was one.
pub fn begin_if_new(
    config: &Config,
    state: &State,
    actor: &str,
) -> Result<Registry, AdmissionError> {
    match is_new(config, state)? {
        true => Registry::create(&config.paths.admin, actor, |_| Ok(())),
        false => Ok(Registry::open(&config.paths.admin, actor)?),
    }
}

/// Whether this host has neither accounts nor published keys.
fn is_new(config: &Config, state: &State) -> Result<bool, AdmissionError> {
    let accounts = state.read(accounts::list)?;
    Ok(accounts.is_empty() && !key::are_any_published(config))
}
