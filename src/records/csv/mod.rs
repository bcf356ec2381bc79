//! CSV text: blocks of whole records, and the cells of a record.

pub mod blocks;
pub mod dialect;
pub mod fields;
pub mod lexer;
pub mod line_count;
pub mod null;
pub mod record_ends;
pub mod structural;
