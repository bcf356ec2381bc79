//! Root's changes of accounts and keys: who may log in.
//!
//! A change is written to the registry first, then published for sshd, then copied to the state
//! database. An attacker who runs code as the daemon's user can lock or damage the state database,
//! so revoking a key does not need it.

mod begin;
mod change;
mod copy;
mod error;
mod take_over;
#[cfg(test)]
mod tests;

use crate::config::Config;
use crate::registry::Registry;

pub use begin::begin_if_new;
pub use change::{AddedKey, NewAccount};
pub use copy::{Change, differences};
pub use error::AdmissionError;
pub use take_over::{Refused, TakeOver, lacking};

/// Changes accounts and keys in `registry` and applies the changes to the host.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'a> {
    pub config: &'a Config,
    pub registry: &'a Registry,
}
