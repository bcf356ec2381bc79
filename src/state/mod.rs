//! The state database: accounts, keys, imports, outbox, activity log. SQLite in WAL mode.
//!
//! This module owns the connection, the migrations and every SQL statement on `state.db`. Each
//! family of tables has its own file. A caller that makes several changes in one step gets a
//! [`Transaction`] from [`State::write`] and passes the transaction to each function. No function
//! of this module commits a transaction that it was given.
//!
//! If root runs a command, every use of a connection has the file rights of the folder's owner
//! ([`Owner`](crate::files::owner::Owner)). The work in [`State::read`] and [`State::write`] has
//! the same rights. The reason is that the daemon's user can write to that folder, and that SQLite
//! can open files in it during any statement. Three alternatives are not safe enough. A check of a
//! file's name fails if the file is replaced before it is used. Limited rights only during the
//! opening do not cover the files beside the database. `SQLITE_OPEN_NOFOLLOW` also refuses symbolic
//! links in the parent folders. Work that opens a file of root's, such as an export, uses
//! [`Owner::of_process`](crate::files::owner::Owner::of_process).

pub mod account_data;
pub mod accounts;
pub mod activity;
pub mod db;
pub mod deliveries;
pub mod endpoints;
pub mod gauges;
pub mod health;
pub mod imports;
pub mod incoming_full;
pub mod keys;
pub mod property_types;
pub mod refused;
pub mod retention;
pub mod unclaimed;
pub mod uploads;

pub use db::backup::{BackupInfo, backup};
pub use db::error::{BackupError, Damage, Error, Result};
pub use db::instance_lock::{INSTANCE_LOCK_FILE, InstanceLock, InstanceLockError};
pub use db::restore::{
    PreviousDatabase, RestoreOutcome, continue_numbering_after, open_backup, replace,
};
pub use db::state::State;
pub use db::transaction::{Transaction, millis, now, timestamp};
