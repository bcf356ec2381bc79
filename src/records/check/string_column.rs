//! Builds a column of texts out of a block's cells.
//!
//! Always holds: every text is a cell of the block or was given as text, so the column is UTF-8.

use std::sync::Arc;

use arrow_array::{ArrayRef, StringArray};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, OffsetBuffer};

use crate::codec::short_bytes;
use crate::codec::short_bytes::STRIDE;
use crate::records::csv::lexer::Span;

/// How many cells are looked at to make room for all of them.
const SAMPLE: usize = 256;

/// A column on its way.
pub struct Texts<'a> {
    block: &'a [u8],
    values: Vec<u8>,
    /// Where each text ends.
    offsets: Vec<i32>,
    nulls: Nulls,
}

impl<'a> Texts<'a> {
    /// For the `rows` cells of a column of `block` that are so long, with room for them if they go
    /// on as they begin.
    pub fn new(block: &'a [u8], rows: usize, cells: impl Iterator<Item = usize>) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        let begin = rows.clamp(1, SAMPLE);
        let bytes = cells.take(begin).sum::<usize>() * rows / begin * 9 / 8;
        // They don't take more than the block, however long the first of them are.
        let values = Vec::with_capacity(bytes.min(block.len()) + STRIDE);
        Self { block, values, offsets, nulls: Nulls::default() }
    }

    /// A cell as it stands.
    #[inline(always)]
    pub fn push_cell(&mut self, cell: Span) {
        short_bytes::push(&mut self.values, self.block, cell.range());
        self.end_text();
    }

    /// Another text.
    #[inline]
    pub fn push(&mut self, text: &str) {
        self.values.extend_from_slice(text.as_bytes());
        self.end_text();
    }

    /// Another text, of ASCII alone.
    #[inline]
    pub fn push_ascii<const N: usize>(&mut self, text: &[u8; N]) {
        self.values.extend_from_slice(text);
        self.end_text();
    }

    /// No text.
    #[inline]
    pub fn push_null(&mut self) {
        self.nulls.push(self.offsets.len() - 1);
        self.end_text();
    }

    #[inline]
    fn end_text(&mut self) {
        self.offsets.push(self.values.len() as i32);
    }

    /// The column.
    pub fn finish(mut self) -> ArrayRef {
        if self.values.capacity() / 2 > self.values.len() {
            self.values.shrink_to_fit(); // it is held until a row group is written
        }
        let nulls = self.nulls.finish(self.offsets.len() - 1);
        assert!(i32::try_from(self.values.len()).is_ok(), "a block is far below 2 GiB");
        let offsets = OffsetBuffer::new(self.offsets.into());
        let texts = StringArray::try_new(offsets, Buffer::from_vec(self.values), nulls);
        Arc::new(texts.expect("texts of a text, one after the other"))
    }
}

/// Which rows of a column have no value: few, as a rule none or nearly all.
#[derive(Debug, Default)]
pub struct Nulls(Vec<u32>);

impl Nulls {
    /// A row without a value; rows come in order.
    #[inline]
    pub fn push(&mut self, row: usize) {
        self.0.push(row as u32);
    }

    /// As a column of `rows` wants it.
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
        fn keeps_every_text_and_its_place(
            cells in proptest::collection::vec(proptest::option::of("[aé]{0,40}"), 0..20),
        ) {
            let block: String = cells.iter().flatten().map(String::as_str).collect();
            let mut texts = Texts::new(block.as_bytes(), 0, std::iter::empty());
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
    fn without_an_empty_cell_there_is_no_null() {
        let mut texts = Texts::new(b"a", 1, [1].into_iter());
        texts.push("a");
        assert!(texts.finish().nulls().is_none());
    }

    #[test]
    fn room_is_made_for_no_more_than_the_block() {
        let block = [b'x'; 5000];
        let cells = || std::iter::once(4000).chain(std::iter::repeat_n(1, 999));
        let texts = Texts::new(&block, 1000, cells());
        assert!((4999..2 * block.len()).contains(&texts.values.capacity()));
        let texts = Texts::new(&block, 1000, cells().skip(1));
        assert!(texts.values.capacity() < 2000);
    }
}
