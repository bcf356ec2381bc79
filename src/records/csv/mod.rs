//! Splits the CSV text of a data file into blocks of whole records, and finds the cells of each
//! record.

pub mod blocks;
pub mod dialect;
pub mod fields;
pub mod lexer;
pub mod line_count;
pub mod null;
pub mod record_ends;
pub mod structural;
