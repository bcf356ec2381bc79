//! The file of the state database: connections, transactions, migrations, backups and the lock of
//! the folder.

pub mod backup;
pub mod connection;
pub mod error;
pub mod group_commit;
pub mod instance_lock;
pub mod migrations;
pub mod restore;
pub mod schema;
pub mod state;
pub mod transaction;
