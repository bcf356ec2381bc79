//! A profile's properties: the JSON object, and the operations that change it. No I/O.

mod json_object;
mod json_scan;
pub mod merge;
