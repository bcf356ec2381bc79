//! The state database: accounts, keys, imports, outbox, activity log. SQLite in WAL mode.
//!
//! Owns the connection, the migrations and every SQL statement on `state.db`, one file per table
//! family. Callers that change several things in one step get a [`Transaction`] from
//! [`State::write`] and pass it down; nothing here commits on its own.
//!
//! In a command that root runs, every use of a connection has the file rights of the folder's owner
//! ([`Owner`](crate::files::owner::Owner)), and so has the work in [`State::read`] and
//! [`State::write`]: the daemon's user can write that folder, and SQLite opens files in it at any
//! statement. The alternatives leave gaps: a file can be replaced between a check of its name and its use, rights for the opening alone
//! don't cover the files beside the database, and `SQLITE_OPEN_NOFOLLOW` also refuses linked
//! parents of the folder. Work that opens a file of root's, such as an export, uses
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
