//! Who may log in: root's changes of accounts and keys, each from the registry to the host.
//!
//! A change is made in the registry first, then it is published, then the state database's copy
//! follows. Whoever owns the daemon's user can lock or damage the state database: a key is revoked
//! without it.

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

/// What admission works on.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The accounts and keys that root approved.
    pub registry: &'a Registry,
}
