//! The Parquet encoding `RLE_DICTIONARY`. It stores each text of a chunk once, and one index for
//! each row.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use arrow_array::{Array, StringArray};
use hashbrown::HashTable;

use super::packed_ints;
use super::pages::PageValues;
use crate::codec::short_bytes::same;

/// The maximum size of a dictionary page, in bytes.
const MAX_BYTES: usize = 256 << 10;
/// The number of recent texts in the cache of a dictionary. It is a power of two.
const RECENT: usize = 4096;

/// The dictionary of a chunk: its texts without repetitions.
#[derive(Debug)]
pub struct Dictionary<'a> {
    texts: Vec<&'a [u8]>,
    /// The size of the dictionary page, in bytes.
    bytes: usize,
    /// A hash table with the indexes of the texts.
    table: HashTable<u32>,
    hasher: RandomState,
    /// A cache of indexes: for each fingerprint, the index of the last text that had it. With this
    /// cache, nearly every row needs no hash and no table lookup.
    recent: Box<[u32]>,
}

impl<'a> Dictionary<'a> {
    pub fn new() -> Self {
        Self {
            texts: Vec::new(),
            bytes: 0,
            table: HashTable::new(),
            hasher: RandomState::new(),
            recent: vec![0; RECENT].into(),
        }
    }

    /// Returns the index of `text` in the dictionary. Adds the text if it is new. Returns `None`
    /// if the dictionary is full.
    #[inline]
    pub fn index_of(&mut self, text: &'a [u8]) -> Option<u32> {
        let slot = fingerprint(text) % RECENT;
        let recent = self.recent[slot];
        if self.texts.get(recent as usize).is_some_and(|known| same(known, text)) {
            return Some(recent);
        }
        let index = self.find_or_insert(text)?;
        self.recent[slot] = index;
        Some(index)
    }

    fn find_or_insert(&mut self, text: &'a [u8]) -> Option<u32> {
        let Self { texts, table, hasher, .. } = self;
        let hash = hasher.hash_one(text);
        if let Some(index) = table.find(hash, |index| texts[*index as usize] == text) {
            return Some(*index);
        }
        self.bytes += size_of::<u32>() + text.len();
        if self.bytes > MAX_BYTES {
            return None;
        }
        let index = texts.len() as u32;
        texts.push(text);
        table.insert_unique(hash, index, |index| hasher.hash_one(texts[*index as usize]));
        Some(index)
    }

    pub fn len(&self) -> u32 {
        self.texts.len() as u32
    }

    /// Returns the dictionary page in PLAIN encoding. The length of each text is before the text.
    pub fn page(&self) -> Vec<u8> {
        let mut page = Vec::with_capacity(self.bytes);
        for text in &self.texts {
            page.extend_from_slice(&(text.len() as u32).to_le_bytes());
            page.extend_from_slice(text);
        }
        page
    }
}

/// Writes the dictionary indexes of a chunk's rows into pages.
#[derive(Debug)]
pub struct DictionaryIndexes<'p> {
    /// The dictionary indexes that were not written to a page yet.
    rest: &'p [u32],
    /// The number of indexes that belong to the current page and were not written yet.
    page: usize,
    width: u32,
}

impl<'p> DictionaryIndexes<'p> {
    /// Creates a writer. `indexes` has an index into `dictionary` for each row that has a text.
    pub fn new(dictionary: &Dictionary<'_>, indexes: &'p [u32]) -> Self {
        let width = packed_ints::bit_width(dictionary.len().saturating_sub(1)).max(1);
        Self { rest: indexes, page: 0, width }
    }
}

impl PageValues<'_> for DictionaryIndexes<'_> {
    fn add(&mut self, array: &StringArray, rows: Range<usize>) {
        let nulls = array.nulls().map(|nulls| nulls.slice(rows.start, rows.len()).null_count());
        self.page += rows.len() - nulls.unwrap_or(0);
    }

    fn room(&self) -> usize {
        // The number of rows limits these pages. The number of bytes does not limit them.
        usize::MAX
    }

    fn write_numbers(&self, head: &mut Vec<u8>) {
        head.push(self.width as u8);
        packed_ints::push_packed(&self.rest[..self.page], self.width, head);
    }

    fn text(&self) -> &[u8] {
        &[]
    }

    fn clear_page(&mut self) {
        (self.rest, self.page) = (&self.rest[self.page..], 0);
    }
}

/// Returns a number that is different for most texts. It is computed from the first eight bytes,
/// the last eight bytes and the length of the text.
#[inline]
fn fingerprint(text: &[u8]) -> usize {
    let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    let mixed = match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) => word(first) ^ word(last).rotate_left(23),
        _ => text.iter().fold(0, |mixed, byte| mixed << 8 | u64::from(*byte)),
    };
    // The highest bits of a product depend on all other bits (Fibonacci hashing).
    ((mixed ^ text.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52) as usize
}
