//! Makes the changes of accounts and keys that root approves. These changes decide who may log in.
//!
//! A change is made in three steps. The change is written to the registry, then published for sshd,
//! and then copied to the state database. An attacker who runs code as the daemon's user can lock
//! or damage the state database. Therefore a key can be revoked without the state database.

mod change;
mod copy;
mod error;
mod limits;
mod recipients;
mod take_over;
#[cfg(test)]
mod tests;

use crate::config::Config;
use crate::key;
use crate::registry::Registry;
use crate::state::{State, accounts};

pub use change::{AddedKey, Admission, NewAccount, Suspension};
pub use copy::{CopyChange, compare_copy, copy_account, copy_all};
pub use error::AdmissionError;
pub use recipients::{InvalidRecipient, check_address, check_domain};
pub use take_over::{TakeOver, TakeOverRefusal, prepare_take_over};

/// Opens the registry. Creates an empty registry on a host that has no account yet.
///
/// # Errors
/// Returns [`crate::registry::Error::Missing`] if the registry is missing, but accounts or
/// published keys prove that a registry existed.
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
