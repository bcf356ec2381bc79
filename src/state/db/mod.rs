//! The state database itself: connection, group commit, migrations, backup and restore.

pub mod backup;
pub mod connection;
pub mod error;
pub mod group_commit;
pub mod instance_lock;
pub mod migrations;
pub mod restore;
