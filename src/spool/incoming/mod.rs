//! Reads the files in the incoming folder of an account.

pub mod empty;
pub mod entry;
pub mod file_index;
pub mod listing;
pub mod manifest_cache;
pub mod manifest_name;
pub mod readme;
pub mod scan;
pub mod snapshot;
pub mod temporary;
pub mod unclaimed;
