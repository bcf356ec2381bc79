//! The registry contains the accounts and keys that root's commands approved, and nothing else.
//!
//! Only root can write to the registry: the file has the mode 0600, in a folder of root's with the
//! mode 0700. Therefore only the registry is the source for published keys and Unix users. All
//! other programs read a copy of these accounts and keys in the state database. The daemon's user
//! can write to that copy. Therefore nothing is copied from the state database into the registry
//! unless a command of root asks for it.
//!
//! A missing registry is an error. It is never treated as an empty registry: see
//! [`Registry::create`].

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
