//! Reads the bytes of a data file. Counts and decompresses the bytes, and decodes them to UTF-8.

pub mod buffer;
pub mod decode;
pub mod decompress;
pub mod file_kind;
pub mod source;
pub mod utf8_check;
pub mod wide_delimiter;
