//! Encodes text columns into Parquet pages. Most bytes of an import are text.
//!
//! All other types use the library's encoder. For text, this encoder is faster: it chooses the
//! layout and zstd's match finder by the column's first values, copies texts in batches, and
//! compares each row with the dictionary once. It writes no statistics. Queries don't ask for
//! ranges of ids or names, and finding the minimum and maximum would take a tenth of the encoding
//! time.
//!
//! Invariant: a page begins with a row and can be decoded alone. Pages have a limit of bytes and of
//! rows. A chunk has one encoding.

mod compressor;
mod definition_levels;
mod delta_byte_array;
mod dictionary;
mod encoding_choice;
mod packed_ints;
pub mod pages;
#[cfg(test)]
mod tests;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray};
use parquet::basic::Encoding;
use parquet::errors::Result;
use parquet::schema::types::ColumnDescPtr;

use self::delta_byte_array::DeltaByteArray;
use self::dictionary::{Dictionary, DictionaryIndexes};
use self::encoding_choice::{EncodingChoice, TextLayout};
use self::pages::{ChunkWriter, TextChunk, texts};

/// Encodes the column chunks of one text column.
#[derive(Debug)]
pub struct TextColumn {
    descr: ColumnDescPtr,
    choice: EncodingChoice,
}

impl TextColumn {
    /// Chooses the encoding of the column `descr`. `sample` has the first values of the column.
    pub fn new(descr: ColumnDescPtr, sample: &ArrayRef) -> Result<Self> {
        let sample = sample.as_string();
        let choice = EncodingChoice::new(texts(sample, 0..sample.len()))?;
        Ok(Self { descr, choice })
    }

    /// Encodes the string arrays `arrays` as one column chunk.
    pub fn encode<'a>(
        &self,
        arrays: impl Iterator<Item = &'a ArrayRef> + Clone,
    ) -> Result<TextChunk> {
        let arrays = arrays.map(|array| array.as_string::<i32>());
        match self.choice.layout {
            TextLayout::Dictionary => match self.encode_dictionary(arrays.clone())? {
                Some(chunk) => Ok(chunk),
                None => self.encode_deltas(arrays, 0),
            },
            TextLayout::DeltaByteArray { max_prefix } => self.encode_deltas(arrays, max_prefix),
        }
    }

    /// Encodes `arrays` with a dictionary. Returns `None` if the arrays have too many different
    /// texts.
    fn encode_dictionary<'a>(
        &self,
        arrays: impl Iterator<Item = &'a StringArray> + Clone,
    ) -> Result<Option<TextChunk>> {
        let (mut dictionary, mut indexes) = (Dictionary::new(), Vec::new());
        for array in arrays.clone() {
            indexes.reserve(array.len());
            for text in texts(array, 0..array.len()) {
                let Some(index) = dictionary.index_of(text) else { return Ok(None) };
                indexes.push(index);
            }
        }
        let mut chunk = self.begin_chunk(Encoding::RLE_DICTIONARY, size_of_val(&*indexes) / 2)?;
        chunk.write_dictionary(dictionary.len(), &dictionary.page())?;
        chunk.write_pages(arrays, DictionaryIndexes::new(&dictionary, &indexes))?;
        chunk.close().map(Some)
    }

    fn encode_deltas<'a>(
        &self,
        arrays: impl Iterator<Item = &'a StringArray> + Clone,
        max_prefix: usize,
    ) -> Result<TextChunk> {
        let text_bytes = |array: &StringArray| {
            let ends = array.value_offsets();
            (ends[array.len()] - ends[0]) as usize
        };
        let mut chunk = self.begin_chunk(
            Encoding::DELTA_BYTE_ARRAY,
            arrays.clone().map(text_bytes).sum::<usize>() / 3,
        )?;
        chunk.write_pages(arrays, DeltaByteArray::new(max_prefix))?;
        chunk.close()
    }

    fn begin_chunk(&self, encoding: Encoding, bytes: usize) -> Result<ChunkWriter> {
        ChunkWriter::new(&self.descr, encoding, self.choice.finder, bytes)
    }
}
