//! Builds a column of strings from a block's cells.
//!
//! Invariant: every string is a cell of the block or was a `str`, so the column is UTF-8.

use std::sync::Arc;

use arrow_array::{ArrayRef, StringArray};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, OffsetBuffer};

use crate::codec::short_bytes;
use crate::codec::short_bytes::STRIDE;
use crate::records::csv::lexer::Span;

/// The number of cells that are sampled to reserve memory for all.
const SAMPLE: usize = 256;

/// A column being built.
pub struct StringColumn<'a> {
    block: &'a [u8],
    values: Vec<u8>,
    /// The end of each string.
    offsets: Vec<i32>,
    nulls: NullRows,
}

impl<'a> StringColumn<'a> {
    /// Creates a builder for `rows` cells of a column of `block`. `cells` are their lengths; the
    /// first ones give an estimate of the memory for all.
    pub fn new(block: &'a [u8], rows: usize, cells: impl Iterator<Item = usize>) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        let begin = rows.clamp(1, SAMPLE);
        let bytes = cells.take(begin).sum::<usize>() * rows / begin * 9 / 8;
        // All cells are never longer than the block, also if the first ones are long.
        let values = Vec::with_capacity(bytes.min(block.len()) + STRIDE);
        Self { block, values, offsets, nulls: NullRows::default() }
    }

    /// Appends a cell unchanged.
    #[inline(always)]
    pub fn push_cell(&mut self, cell: Span) {
        short_bytes::push(&mut self.values, self.block, cell.range());
        self.end_text();
    }

    /// Appends another string.
    #[inline]
    pub fn push(&mut self, text: &str) {
        self.values.extend_from_slice(text.as_bytes());
        self.end_text();
    }

    /// Appends another string, which must be ASCII.
    #[inline]
    pub fn push_ascii<const N: usize>(&mut self, text: &[u8; N]) {
        self.values.extend_from_slice(text);
        self.end_text();
    }

    /// Appends a null.
    #[inline]
    pub fn push_null(&mut self) {
        self.nulls.push(self.offsets.len() - 1);
        self.end_text();
    }

    #[inline]
    fn end_text(&mut self) {
        self.offsets.push(self.values.len() as i32);
    }

    /// Returns the column.
    pub fn finish(mut self) -> ArrayRef {
        if self.values.capacity() / 2 > self.values.len() {
            self.values.shrink_to_fit(); // it is kept until a row group is written
        }
        let nulls = self.nulls.finish(self.offsets.len() - 1);
        assert!(i32::try_from(self.values.len()).is_ok(), "a block is far below 2 GiB");
        let offsets = OffsetBuffer::new(self.offsets.into());
        let texts = StringArray::try_new(offsets, Buffer::from_vec(self.values), nulls);
        Arc::new(texts.expect("the offsets ascend and every value is UTF-8"))
    }
}

/// The rows of a column without a value.
#[derive(Debug, Default)]
pub struct NullRows(Vec<u32>);

impl NullRows {
    /// Adds a row without a value. Rows must be added in order.
    #[inline]
    pub fn push(&mut self, row: usize) {
        self.0.push(row as u32);
    }

    /// Returns the null buffer for a column of `rows`; `None` if there is no null.
    pub fn finish(self, rows: usize) -> Option<NullBuffer> {
        if self.0.is_empty() {
            return None;
        }
        let mut set = BooleanBufferBuilder::new(rows);
        set.append_n(rows, true);
        self.0.iter().for_each(|row| set.set_bit(*row as usize, false));
        Some(NullBuffer::new(set.finish()))
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;

    use super::*;

    proptest::proptest! {
        #[test]
        fn keeps_every_text_in_place(
            cells in proptest::collection::vec(proptest::option::of("[aé]{0,40}"), 0..20),
        ) {
            let block: String = cells.iter().flatten().map(String::as_str).collect();
            let mut texts = StringColumn::new(block.as_bytes(), 0, std::iter::empty());
            let mut start = 0;
            for (n, cell) in cells.iter().enumerate() {
                let Some(cell) = cell else {
                    texts.push_null();
                    continue;
                };
                let end = start + cell.len() as u32;
                if n % 3 == 0 { texts.push(cell) } else { texts.push_cell(Span { start, end }) }
                start = end;
            }
            let column = texts.finish();
            let column: Vec<_> = column.as_string::<i32>().iter().collect();
            let cells: Vec<_> = cells.iter().map(Option::as_deref).collect();
            proptest::prop_assert_eq!(column, cells);
        }
    }

    #[test]
    fn full_columns_have_no_null_buffer() {
        let mut texts = StringColumn::new(b"a", 1, [1].into_iter());
        texts.push("a");
        assert!(texts.finish().nulls().is_none());
    }

    #[test]
    fn reserves_at_most_the_block() {
        let block = [b'x'; 5000];
        let cells = || std::iter::once(4000).chain(std::iter::repeat_n(1, 999));
        let texts = StringColumn::new(&block, 1000, cells());
        assert!((4999..2 * block.len()).contains(&texts.values.capacity()));
        let texts = StringColumn::new(&block, 1000, cells().skip(1));
        assert!(texts.values.capacity() < 2000);
    }
}
