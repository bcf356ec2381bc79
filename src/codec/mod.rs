//! Encodings of numbers and short byte strings.

pub(crate) mod short_bytes;
pub(crate) mod varint;
