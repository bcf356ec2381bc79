//! Root's changes of accounts and keys: who may log in.
//!
//! A change is written to the registry first, then published for sshd, then copied to the state
//! database. An attacker who runs code as the daemon's user can lock or damage the state database,
//! so revoking a key does not need it.

mod change;
mod copy;
mod error;
mod take_over;
#[cfg(test)]
mod tests;

use crate::config::Config;
use crate::key;
use crate::registry::Registry;
use crate::state::{State, accounts};

pub use change::{AddedKey, Admission, NewAccount};
pub use copy::{CopyChange, compare_copy, copy_account, copy_all};
pub use error::AdmissionError;
pub use take_over::{TakeOver, TakeOverRefusal, prepare_take_over};

/// Opens the registry, or creates an empty one on a host that has no account yet.
///
/// # Errors
/// [`crate::registry::Error::Missing`] if there is no registry, but accounts or published keys show
/// that there was one.
pub fn open_or_create_registry(
    config: &Config,
    state: &State,
    actor: &str,
) -> Result<Registry, AdmissionError> {
    let is_new = state.read(accounts::list)?.is_empty() && !key::are_any_published(config);
    match is_new {
        true => Registry::create(&config.paths.admin, actor, |_| Ok(())),
        false => Ok(Registry::open(&config.paths.admin, actor)?),
    }
}
