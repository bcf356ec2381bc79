//! Encodes text columns into Parquet pages. Most bytes of an import are text.
//!
//! All other types use the library's encoder. This one is faster for text: it chooses the layout
//! and zstd's match finder by the column's first values, copies texts by the batch, and a
//! dictionary costs one comparison per row. It writes no statistics: queries don't ask for ranges
//! of ids or names, and finding the minimum and maximum would cost a tenth of the encoding.
//!
//! Invariant: a page begins with a row and can be decoded alone. Pages have a limit of bytes and of
//! rows. A chunk has one encoding.

mod compressor;
pub mod definition_levels;
pub mod delta_byte_array;
mod dictionary;
pub mod encoding_choice;
pub mod packed_ints;
mod pages;
#[cfg(test)]
mod tests;

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray};
use parquet::basic::Encoding;
use parquet::errors::Result;
use parquet::schema::types::ColumnDescPtr;

use self::delta_byte_array::Fronts;
use self::dictionary::{Dictionary, Places};
use self::encoding_choice::{Choice, Layout};
use self::pages::Pages;
pub use self::pages::TextChunk;

/// Encodes the chunks of one text column.
#[derive(Debug)]
pub struct TextColumn {
    descr: ColumnDescPtr,
    choice: Choice,
}

impl TextColumn {
    /// Chooses the encoding of the column `descr`, which begins with `sample`.
    pub fn new(descr: ColumnDescPtr, sample: &ArrayRef) -> Result<Self> {
        let sample = sample.as_string();
        let choice = Choice::new(texts(sample, 0..sample.len()))?;
        Ok(Self { descr, choice })
    }

    /// Encodes `arrays`, which are string arrays, as one chunk.
    pub fn encode<'a>(
        &self,
        arrays: impl Iterator<Item = &'a ArrayRef> + Clone,
    ) -> Result<TextChunk> {
        let arrays = arrays.map(|array| array.as_string::<i32>());
        match self.choice.layout {
            Layout::Dictionary => match self.by_dictionary(arrays.clone())? {
                Some(chunk) => Ok(chunk),
                None => self.by_fronts(arrays, 0),
            },
            Layout::Texts { front } => self.by_fronts(arrays, front),
        }
    }

    /// Returns `None` if there are too many texts for a dictionary.
    fn by_dictionary<'a>(
        &self,
        arrays: impl Iterator<Item = &'a StringArray> + Clone,
    ) -> Result<Option<TextChunk>> {
        let (mut dictionary, mut places) = (Dictionary::new(), Vec::new());
        for array in arrays.clone() {
            places.reserve(array.len());
            for text in texts(array, 0..array.len()) {
                let Some(place) = dictionary.place(text) else { return Ok(None) };
                places.push(place);
            }
        }
        let mut pages = self.pages(Encoding::RLE_DICTIONARY, size_of_val(&*places) / 2)?;
        pages.dictionary(dictionary.len(), &dictionary.page())?;
        pages.fill(arrays, Places::new(&dictionary, &places))?;
        pages.close().map(Some)
    }

    fn by_fronts<'a>(
        &self,
        arrays: impl Iterator<Item = &'a StringArray> + Clone,
        front: usize,
    ) -> Result<TextChunk> {
        let letters = |array: &StringArray| {
            let ends = array.value_offsets();
            (ends[array.len()] - ends[0]) as usize
        };
        let mut pages =
            self.pages(Encoding::DELTA_BYTE_ARRAY, arrays.clone().map(letters).sum::<usize>() / 3)?;
        pages.fill(arrays, Fronts::new(front))?;
        pages.close()
    }

    fn pages(&self, encoding: Encoding, bytes: usize) -> Result<Pages> {
        Pages::new(&self.descr, encoding, self.choice.finder, bytes)
    }
}

/// Returns the texts of `rows`, without nulls.
fn texts(array: &StringArray, rows: Range<usize>) -> impl Iterator<Item = &[u8]> + Clone {
    let (offsets, letters, nulls) = (array.value_offsets(), array.value_data(), array.nulls());
    let rows = if array.null_count() == array.len() { 0..0 } else { rows };
    let valid = rows.filter(move |row| nulls.is_none_or(|nulls| nulls.is_valid(*row)));
    valid.map(move |row| &letters[offsets[row] as usize..offsets[row + 1] as usize])
}
