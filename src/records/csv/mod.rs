//! CSV text: blocks of whole records, and the cells of a record.

pub mod blocks;
pub mod lexer;
pub mod line_count;
pub mod record_ends;
pub mod structural;
