//! The registry: the accounts and keys that root's commands approved, and nothing else.
//!
//! Only root can write it (0600, in a folder 0700 of root's), so it is the only source for the
//! publishing of keys and the creation of Unix users. The state database has a copy for all other
//! readers. The daemon's user can write that copy, so nothing is copied from there to the registry
//! without a command of root's that asks for it.
//!
//! A missing registry is an error and never counts as an empty one: see [`Registry::create`].

pub mod accounts;
pub mod backup;
mod database;
mod error;
pub mod keys;

pub use accounts::Account;
pub use database::{Registry, RegistryTransaction, exists};
pub use error::{Error, Result};
pub use keys::{ApprovedKey, PublishableKey};

#[cfg(test)]
mod tests;
