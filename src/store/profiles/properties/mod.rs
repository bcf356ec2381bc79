//! The properties of a profile: merging, and the JSON text that stores them.

pub mod json_object;
pub mod json_scan;
pub mod merge;
