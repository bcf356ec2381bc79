//! Encodes numbers as bytes, and compares and copies short byte strings.

pub(crate) mod short_bytes;
pub(crate) mod varint;
