//! Maintenance: work outside of imports. The sweep removes old files and rows; a restored state
//! database is reconciled; an account's data is exported or erased; an upgrade is completed.

pub mod after_restore;
pub mod erase;
pub mod export;
mod retention;
pub mod spool_cleanup;
pub mod upgrade;

pub use retention::SweepError;
