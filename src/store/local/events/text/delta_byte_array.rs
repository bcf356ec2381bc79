//! The `DELTA_BYTE_ARRAY` encoding: lengths, then texts. Each text omits the prefix that it shares
//! with the previous text.
//!
//! A text omits at most the column's prefix, which nearly all texts share. Longer prefixes could be
//! omitted, but their lengths vary, and storing those lengths takes more than it saves. In a column
//! without a common prefix, every text is stored whole. `DELTA_LENGTH_BYTE_ARRAY` would be a few
//! bytes smaller for such a column, but Spark misreads that encoding where rows are null or skipped
//! (SPARK-52240).

use std::ops::Range;

use arrow_array::{Array, StringArray};

use super::super::writer_settings::PAGE_BYTES;
use super::packed_ints;
use super::pages::{PageValues, texts};
use crate::codec::short_bytes::{self, same};

/// The texts of a page in the encoding `DELTA_BYTE_ARRAY`.
#[derive(Debug, Default)]
pub struct DeltaByteArray<'a> {
    /// The maximum length of the prefix that a text may omit, in bytes.
    max_prefix: usize,
    /// The length of the omitted prefix of each text, in bytes.
    prefix_lens: Vec<u32>,
    /// The length of each text without its omitted prefix, in bytes.
    lens: Vec<u32>,
    text: Vec<u8>,
    last: &'a [u8],
}

impl<'a> DeltaByteArray<'a> {
    pub fn new(max_prefix: usize) -> Self {
        Self { max_prefix, ..Self::default() }
    }

    pub fn push(&mut self, text: &'a [u8]) {
        let prefix = common_prefix(self.last, text, self.max_prefix);
        self.last = text;
        self.prefix_lens.push(prefix as u32);
        self.lens.push((text.len() - prefix) as u32);
        self.text.extend_from_slice(&text[prefix..]);
    }

    /// Adds the texts of `rows`, which have no nulls. The prefix lengths of all texts come first,
    /// and then the remaining bytes of the texts.
    fn extend(&mut self, array: &'a StringArray, rows: Range<usize>) {
        let Self { max_prefix, prefix_lens, lens, text, last } = self;
        let (all, ends) = (array.value_data(), &array.value_offsets()[rows.start..=rows.end]);
        if *max_prefix == 0 {
            prefix_lens.resize(prefix_lens.len() + rows.len(), 0);
            lens.extend(ends.array_windows().map(|[start, end]| (end - start) as u32));
            text.extend_from_slice(&all[ends[0] as usize..ends[rows.len()] as usize]);
            return;
        }
        let begin = prefix_lens.len();
        prefix_lens.extend(ends.array_windows().map(|[start, end]| {
            let before = std::mem::replace(last, &all[*start as usize..*end as usize]);
            common_prefix(before, last, *max_prefix) as u32
        }));
        let texts = || ends.array_windows().zip(&prefix_lens[begin..]);
        lens.extend(texts().map(|([start, end], prefix)| (end - start) as u32 - prefix));
        for ([start, end], prefix) in texts() {
            short_bytes::push(text, all, (*start as usize + *prefix as usize)..*end as usize);
        }
    }
}

impl<'a> PageValues<'a> for DeltaByteArray<'a> {
    fn add(&mut self, array: &'a StringArray, rows: Range<usize>) {
        match array.null_count() {
            0 => self.extend(array, rows),
            _ => texts(array, rows).for_each(|text| self.push(text)),
        }
    }

    fn room(&self) -> usize {
        PAGE_BYTES.saturating_sub(self.text.len())
    }

    fn write_numbers(&self, head: &mut Vec<u8>) {
        packed_ints::push_delta_packed(&self.prefix_lens, head);
        packed_ints::push_delta_packed(&self.lens, head);
    }

    fn text(&self) -> &[u8] {
        &self.text
    }

    fn clear_page(&mut self) {
        self.prefix_lens.clear();
        self.lens.clear();
        self.text.clear();
        self.last = &[];
    }
}

/// Returns the length of the common prefix of the texts `one` and `other` in bytes, at most
/// `max_prefix`.
#[inline]
pub fn common_prefix(one: &[u8], other: &[u8], max_prefix: usize) -> usize {
    match (one.get(..max_prefix), other.get(..max_prefix)) {
        (Some(one), Some(other)) if same(one, other) => max_prefix,
        _ => one.iter().zip(other).take(max_prefix).take_while(|(one, other)| one == other).count(),
    }
}
