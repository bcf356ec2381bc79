//! Work on imports that have ended: retention, export, erasure, and what follows a restore or an upgrade.

pub mod after_restore;
pub mod erase;
pub mod export;
pub mod retention;
pub mod spool_cleanup;
pub mod upgrade;
