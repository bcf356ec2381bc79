//! What is in an account's incoming folder.

pub mod empty;
pub mod entry;
pub mod listing;
pub mod manifest_cache;
pub mod readme;
pub mod scan;
pub mod snapshot;
pub mod unclaimed;
