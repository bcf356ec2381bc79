//! sftp-import: data imports over SFTP, around an existing OpenSSH.
//!
//! # The path of an upload
//!
//! | step | module |
//! |---|---|
//! | inotify reports a change in an account's folder | `spool::watch` |
//! | the incoming folder is scanned, its manifests are parsed | `spool::incoming`, `manifest` |
//! | manifests and data files are paired (pure) | `spool::pairing` |
//! | a pair is claimed: its files move to the spool | `import::intake`, `spool::claim` |
//! | the next import is chosen and run | `import::run` |
//! | the data file is read, checked and stored | `records`, `store` |
//! | the report and the error file go to results/ | `spool::results` |
//! | one transaction ends the import and enqueues its deliveries | `state`, `outbox` |
//! | mails and webhooks are delivered | `outbox::relay` |
//!
//! The daemon has no capability: another process, `spool::opener`, opens the accounts' files.
//!
//! # Layers
//!
//! A module imports only from layers below its own (`tests/it/house` reads this table).
//!
//! | layer | modules |
//! |---|---|
//! | programs | `admin`, `cli`, `daemon` |
//! | work on imports, checks of the host | `doctor`, `import` |
//! | changes of accounts and keys | `admission` |
//! | keys, Unix users, deliveries, sshd | `key`, `outbox`, `provision`, `sshd` |
//! | folders and databases | `registry`, `spool`, `state`, `store` |
//! | manifests for data files | `guess` |
//! | records | `records` |
//! | formats | `audit`, `manifest`, `metrics` |
//! | settings, reports, the helper for sshd | `authorized_keys`, `config`, `report` |
//! | requests and answers of the console | `wire` |
//! | values | `account`, `account_state`, `import_id`, `recipient`, `sanitize` |
//! | files, encodings, logging | `codec`, `files`, `logging` |
//! | unsafe code | `sys` |
//!
//! Functions that make decisions are pure: they get times and listings as arguments. The package
//! has `cfg` lines for its features only in this file.
#![cfg_attr(not(feature = "daemon"), forbid(unsafe_code))]

#[forbid(unsafe_code)]
pub mod account;
#[forbid(unsafe_code)]
pub mod authorized_keys;

#[cfg(feature = "daemon")]
pub use with_daemon::*;

#[cfg(feature = "daemon")]
#[path = "."]
mod with_daemon {
    #[forbid(unsafe_code)]
    pub mod account_state;
    #[forbid(unsafe_code)]
    pub mod admin;
    #[forbid(unsafe_code)]
    pub mod admission;
    #[forbid(unsafe_code)]
    pub mod audit;
    #[forbid(unsafe_code)]
    pub mod cli;
    #[forbid(unsafe_code)]
    pub mod codec;
    #[forbid(unsafe_code)]
    pub mod config;
    #[forbid(unsafe_code)]
    pub mod daemon;
    #[forbid(unsafe_code)]
    pub mod doctor;
    #[forbid(unsafe_code)]
    pub mod files;
    #[forbid(unsafe_code)]
    pub mod guess;
    #[forbid(unsafe_code)]
    pub mod import;
    #[forbid(unsafe_code)]
    pub mod import_id;
    #[forbid(unsafe_code)]
    pub mod key;
    #[forbid(unsafe_code)]
    pub mod logging;
    #[forbid(unsafe_code)]
    pub mod manifest;
    #[forbid(unsafe_code)]
    pub mod metrics;
    #[forbid(unsafe_code)]
    pub mod outbox;
    #[forbid(unsafe_code)]
    pub mod provision;
    #[forbid(unsafe_code)]
    pub mod recipient;
    #[forbid(unsafe_code)]
    pub mod records;
    #[forbid(unsafe_code)]
    pub mod registry;
    #[forbid(unsafe_code)]
    pub mod report;
    #[forbid(unsafe_code)]
    pub mod sanitize;
    #[forbid(unsafe_code)]
    pub mod spool;
    #[forbid(unsafe_code)]
    pub mod sshd;
    #[forbid(unsafe_code)]
    pub mod state;
    #[forbid(unsafe_code)]
    pub mod store;
    pub mod sys;
    #[forbid(unsafe_code)]
    pub mod wire;
}
