//! Shared code of the end-to-end tests: hosts, accounts, clients, and catchers of mail and
//! webhooks.

pub mod account;
pub mod admin;
pub mod catchers;
pub mod disk;
pub mod findings;
pub mod host;
pub mod injection;
pub mod notify;
pub mod outcome;
pub mod pair;
pub mod process;
pub mod sftp_script;
pub mod stored;
pub mod unix;
