//! Builds a column of strings from the cells of a block.
//!
//! Invariant: the column is UTF-8, because every string in it is a cell of the block or was a
//! `str`.

use std::sync::Arc;

use arrow_array::{ArrayRef, StringArray};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, OffsetBuffer};

use crate::codec::short_bytes;
use crate::codec::short_bytes::STRIDE;
use crate::records::csv::lexer::Span;

/// The number of cells that are sampled to estimate the memory for a column of strings.
const SAMPLE: usize = 256;

/// Builds a column of strings for a batch of events.
pub struct StringColumn<'a> {
    block: &'a [u8],
    values: Vec<u8>,
    /// The position in bytes at which each string in `values` ends.
    offsets: Vec<i32>,
    nulls: NullRows,
}

impl<'a> StringColumn<'a> {
    /// Creates a builder for a column of `block` with `rows` cells. `cells` has the lengths of the
    /// cells in bytes. The first lengths are used to estimate the memory for the column.
    pub fn new(block: &'a [u8], rows: usize, cells: impl Iterator<Item = usize>) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        let begin = rows.clamp(1, SAMPLE);
        let bytes = cells.take(begin).sum::<usize>() * rows / begin * 9 / 8;
        // The estimate is limited to the length of the block, because the cells of a column are
        // never longer in total.
        let values = Vec::with_capacity(bytes.min(block.len()) + STRIDE);
        Self { block, values, offsets, nulls: NullRows::default() }
    }

    /// Appends the unchanged text of a cell.
    #[inline(always)]
    pub fn push_cell(&mut self, cell: Span) {
        short_bytes::push(&mut self.values, self.block, cell.range());
        self.end_text();
    }

    /// Appends a string that is not a cell of the block.
    #[inline]
    pub fn push(&mut self, text: &str) {
        self.values.extend_from_slice(text.as_bytes());
        self.end_text();
    }

    /// Appends an ASCII string that is not a cell of the block.
    #[inline]
    pub fn push_ascii<const N: usize>(&mut self, text: &[u8; N]) {
        self.values.extend_from_slice(text);
        self.end_text();
    }

    /// Appends a null value.
    #[inline]
    pub fn push_null(&mut self) {
        self.nulls.push(self.offsets.len() - 1);
        self.end_text();
    }

    #[inline]
    fn end_text(&mut self) {
        self.offsets.push(self.values.len() as i32);
    }

    /// Returns the finished column of strings.
    pub fn finish(mut self) -> ArrayRef {
        if self.values.capacity() / 2 > self.values.len() {
            // Unused memory is released now, because the column stays in memory until a row group
            // is written.
            self.values.shrink_to_fit();
        }
        let nulls = self.nulls.finish(self.offsets.len() - 1);
        assert!(i32::try_from(self.values.len()).is_ok(), "a block is much smaller than 2 GiB");
        let offsets = OffsetBuffer::new(self.offsets.into());
        let texts = StringArray::try_new(offsets, Buffer::from_vec(self.values), nulls);
        Arc::new(texts.expect("the offsets ascend and every value is UTF-8"))
    }
}

/// The row indexes of a column's null values.
#[derive(Debug, Default)]
pub struct NullRows(Vec<u32>);

impl NullRows {
    /// Adds a row that has no value in the column. Rows must be added in ascending order.
    #[inline]
    pub fn push(&mut self, row: usize) {
        self.0.push(row as u32);
    }

    /// Returns the null buffer for a column with `rows` rows. Returns `None` if every row has a
    /// value.
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
        fn a_string_column_keeps_all_texts_in_order(
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
    fn columns_without_nulls_have_no_null_buffer() {
        let mut texts = StringColumn::new(b"a", 1, [1].into_iter());
        texts.push("a");
        assert!(texts.finish().nulls().is_none());
    }

    #[test]
    fn a_column_reserves_at_most_the_block_size() {
        let block = [b'x'; 5000];
        let cells = || std::iter::once(4000).chain(std::iter::repeat_n(1, 999));
        let texts = StringColumn::new(&block, 1000, cells());
        assert!((4999..2 * block.len()).contains(&texts.values.capacity()));
        let texts = StringColumn::new(&block, 1000, cells().skip(1));
        assert!(texts.values.capacity() < 2000);
    }
}
