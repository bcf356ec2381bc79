//! The `DELTA_BYTE_ARRAY` encoding: lengths, then texts, each without the prefix that it shares
//! with the one before.
//!
//! A text omits at most the column's prefix, which nearly all texts share. Omitting more is
//! possible, but then the length of the prefix varies, and storing it takes more than it saves. A
//! column without a common prefix omits nothing. `DELTA_LENGTH_BYTE_ARRAY` would be a few bytes
//! smaller for it, but Spark misreads that encoding where rows are null or skipped (SPARK-52240).

use std::ops::Range;

use arrow_array::{Array, StringArray};

use super::super::writer_settings::PAGE_BYTES;
use super::packed_ints;
use super::pages::Values;
use super::texts;
use crate::codec::short_bytes;
use crate::codec::short_bytes::same;

/// The texts of a page.
#[derive(Debug, Default)]
pub struct Fronts<'a> {
    /// The longest prefix that a text may omit, in bytes.
    front: usize,
    /// By text, the length of its omitted prefix.
    shared: Vec<u32>,
    /// By text, its length without the prefix.
    lengths: Vec<u32>,
    letters: Vec<u8>,
    last: &'a [u8],
}

impl<'a> Fronts<'a> {
    pub fn new(front: usize) -> Self {
        Self { front, ..Self::default() }
    }

    pub fn push(&mut self, text: &'a [u8]) {
        let shared = common_front(self.last, text, self.front);
        self.last = text;
        self.shared.push(shared as u32);
        self.lengths.push((text.len() - shared) as u32);
        self.letters.extend_from_slice(&text[shared..]);
    }

    /// Adds `rows`, none of which is null: first all prefix lengths, then the rest of the texts.
    fn extend(&mut self, array: &'a StringArray, rows: Range<usize>) {
        let Self { front, shared, lengths, letters, last } = self;
        let (all, ends) = (array.value_data(), &array.value_offsets()[rows.start..=rows.end]);
        if *front == 0 {
            shared.resize(shared.len() + rows.len(), 0);
            lengths.extend(ends.array_windows().map(|[start, end]| (end - start) as u32));
            letters.extend_from_slice(&all[ends[0] as usize..ends[rows.len()] as usize]);
            return;
        }
        let begin = shared.len();
        shared.extend(ends.array_windows().map(|[start, end]| {
            let before = std::mem::replace(last, &all[*start as usize..*end as usize]);
            common_front(before, last, *front) as u32
        }));
        let texts = || ends.array_windows().zip(&shared[begin..]);
        lengths.extend(texts().map(|([start, end], shared)| (end - start) as u32 - shared));
        for ([start, end], shared) in texts() {
            short_bytes::push(letters, all, (*start as usize + *shared as usize)..*end as usize);
        }
    }
}

impl<'a> Values<'a> for Fronts<'a> {
    fn add(&mut self, array: &'a StringArray, rows: Range<usize>) {
        match array.null_count() {
            0 => self.extend(array, rows),
            _ => texts(array, rows).for_each(|text| self.push(text)),
        }
    }

    fn room(&self) -> usize {
        PAGE_BYTES.saturating_sub(self.letters.len())
    }

    fn write(&self, head: &mut Vec<u8>) {
        packed_ints::binary_packed(&self.shared, head);
        packed_ints::binary_packed(&self.lengths, head);
    }

    fn letters(&self) -> &[u8] {
        &self.letters
    }

    fn clear(&mut self) {
        self.shared.clear();
        self.lengths.clear();
        self.letters.clear();
        self.last = &[];
    }
}

/// Returns the length of the common prefix of `one` and `other`, at most `front`.
#[inline]
pub fn common_front(one: &[u8], other: &[u8], front: usize) -> usize {
    match (one.get(..front), other.get(..front)) {
        (Some(one), Some(other)) if same(one, other) => front,
        _ => one.iter().zip(other).take(front).take_while(|(one, other)| one == other).count(),
    }
}
