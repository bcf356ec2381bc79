//! The definition levels of a flat Parquet column. They show which rows of a page have a value.

use std::ops::Range;

use arrow_array::{Array, StringArray};
use arrow_buffer::BooleanBufferBuilder;

use super::packed_ints;

/// The definition levels of the rows of a page.
#[derive(Debug)]
pub struct DefinitionLevels {
    valid: BooleanBufferBuilder,
    nulls: usize,
}

impl DefinitionLevels {
    pub fn new() -> Self {
        Self { valid: BooleanBufferBuilder::new(0), nulls: 0 }
    }

    /// Adds the definition levels for the rows `rows` of `array`.
    pub fn add(&mut self, array: &StringArray, rows: Range<usize>) {
        match array.nulls() {
            None => self.valid.append_n(rows.len(), true),
            Some(nulls) => {
                let nulls = nulls.slice(rows.start, rows.len());
                self.nulls += nulls.null_count();
                self.valid.append_buffer(nulls.inner());
            }
        }
    }

    /// Returns the number of rows whose levels were added.
    pub fn rows(&self) -> usize {
        self.valid.len()
    }

    /// Appends the definition levels to `page`. They are the first part of the page's body.
    pub fn append_to(&self, page: &mut Vec<u8>) {
        let (start, rows) = (page.len(), self.rows());
        page.extend_from_slice(&[0; size_of::<u32>()]);
        match self.nulls {
            0 => packed_ints::push_repeated(1, rows, page),
            nulls if nulls == rows => packed_ints::push_repeated(0, rows, page),
            _ => packed_ints::push_bits(self.valid.as_slice(), rows, page),
        }
        let length = (page.len() - start - size_of::<u32>()) as u32;
        page[start..start + size_of::<u32>()].copy_from_slice(&length.to_le_bytes());
    }
}
