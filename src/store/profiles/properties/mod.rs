//! The properties of a profile as a JSON object, and the operations that change them. The module
//! does no I/O.

mod json_object;
mod json_scan;
pub mod merge;
