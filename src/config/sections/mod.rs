//! The sections of the configuration file, with one module for each section.

pub mod accounts;
pub mod imports;
pub mod limits;
pub mod mail;
pub mod metrics;
pub mod node;
pub mod pairing;
pub mod per_account;
pub mod readme;
pub mod retention;
pub mod watch;
pub mod web;
pub mod webhooks;
