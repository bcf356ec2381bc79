//! sftp-import: data imports over SFTP, around an existing OpenSSH.
//!
//! # The way of an upload
//! `spool::watch` says "look at account A" → `spool::scan` lists incoming → `manifest` parses →
//! `spool::pair` decides → `spool::claim` takes the pair out → `import::queue` picks the next →
//! `import::worker` reads it through `records` into `store` → `import::results` answers in
//! results/ → one transaction in `state` finishes and enqueues → `outbox::relay` delivers.
//! The daemon has no capability: its files are opened by another process, `spool::opener`.
//!
//! # Layers
//! Imports point down this list, never up; within a layer the modules do not know each other.
//!
//! | layer | modules |
//! |---|---|
//! | programs | `daemon`, `cli`, and the helper, `authorized_keys`, which knows `account` alone |
//! | workflows | `doctor`, `import`, `outbox`, `admission`, `key`, `provision` |
//! | adapters | `spool`, `store`, `state`, `registry` |
//! | pure | `advice`, `audit`, `manifest`, `metrics`, `recipient`, `records`, `report` (and `spool::pair`, `outbox::retry`, `import::state`) |
//! | words | `account`, `account_state`, `import_id`, `printable`, `config` |
//! | kernel | `sys`, the only module with `unsafe` |
//!
//! Pure code takes time and listings as arguments. These are the only `cfg` lines of the package.
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
    pub mod import;
    #[forbid(unsafe_code)]
    pub mod import_id;
    #[forbid(unsafe_code)]
    pub mod key;
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
    pub mod state;
    #[forbid(unsafe_code)]
    pub mod store;
    pub mod sys;
}
