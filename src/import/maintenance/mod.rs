//! Does the work outside of imports: removes old files and rows, reconciles a restored state
//! database, exports or erases an account's data, and completes an upgrade.

pub mod after_restore;
pub mod erase;
pub mod export;
mod retention;
pub mod spool_cleanup;
pub mod upgrade;

pub use retention::SweepError;
