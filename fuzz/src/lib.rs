//! What the fuzz targets do with their bytes: plain functions that panic when something that must
//! always hold does not. libFuzzer runs them from fuzz_targets/, and tests/it/fuzz.rs, which
//! includes this file, for a bounded time on stable.

pub mod admin_request;
pub mod fingerprint;
pub mod key;
pub mod log_line;
pub mod manifest;
pub mod profile;
pub mod records;
pub mod state_db;
