//! Implements the commands about this host: configuration, provisioning, backup, registry, doctor.

pub mod backup;
pub mod completions;
pub mod config;
pub mod doctor;
pub mod provision;
pub mod registry;
