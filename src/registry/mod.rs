//! The registry contains the accounts and keys that root's commands approved, and nothing else.
//!
//! Only root can write to the registry. The file has the mode 0600, and its folder belongs to root
//! and has the mode 0700. Therefore the published keys and the Unix users are made only from the
//! registry. All other programs read a copy of these accounts and keys in the state database. The
//! daemon's user can write to that copy. Therefore nothing is copied from the state database into
//! the registry unless a command of root asks for it.
//!
//! If the registry is missing, an error is returned. A missing registry is never treated as an
//! empty registry: see [`Registry::create`].

pub mod accounts;
pub mod backup;
mod database;
mod error;
pub mod keys;
pub mod limited_changes;

pub use accounts::Account;
pub use database::{Registry, RegistryTransaction, exists};
pub use error::{Error, Result};
pub use keys::{ApprovedKey, PublishableKey};

#[cfg(test)]
mod tests;
