//! Chooses the encoding of a text column by its first values.

use std::collections::HashSet;

use parquet::errors::Result;

use super::super::writer_settings::PAGE_BYTES;
use super::compressor::{Compressor, Finder};
use super::delta_byte_array::{Fronts, common_front};
use super::pages::Values;

/// In this many pairs of texts, all but one share the column's prefix.
const PAIRS: usize = 64;
/// A match finder that is faster than level 1 may compress worse than it: by one byte in this many.
const MORE: usize = 16;

/// The layout of a column's texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Each text once, and its index for each row.
    Dictionary,
    /// One text after another. Each omits the prefix that it shares with the one before, at most
    /// `front` bytes.
    Texts { front: usize },
}

/// The encoding of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    pub layout: Layout,
    pub finder: Finder,
}

impl Choice {
    /// Chooses for a column that begins with `texts`.
    ///
    /// The layout is a dictionary if half of the texts are repeats. Otherwise the common prefix is
    /// omitted if it makes up a third of the bytes. The match finder is the fastest that compresses
    /// about as well as level 1 does without omitting a prefix.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new<'a>(texts: impl Iterator<Item = &'a [u8]> + Clone) -> Result<Self> {
        let count = texts.clone().count();
        if texts.clone().collect::<HashSet<_>>().len() * 2 <= count {
            return Ok(Self { layout: Layout::Dictionary, finder: Finder::Far });
        }
        let texts = page(texts);
        let whole = letters(texts.clone(), 0);
        let front = front(texts.clone());
        let without = letters(texts, front);
        let (front, chosen) = match without.len() * 3 <= whole.len() * 2 {
            true => (front, &without),
            false => (0, &whole),
        };
        let left = |finder, letters: &[u8]| -> Result<usize> {
            Ok(Compressor::new(finder)?.compress(&[], letters)?.len())
        };
        let most = left(Finder::Far, &whole)?;
        let mut finder = Finder::Far;
        for faster in [Finder::Nothing, Finder::Near] {
            if left(faster, chosen)? <= most + most / MORE {
                finder = faster;
                break;
            }
        }
        Ok(Self { layout: Layout::Texts { front }, finder })
    }
}

/// Returns as many of `texts` as a page holds. zstd finds no repeats across pages.
fn page<'a>(
    texts: impl Iterator<Item = &'a [u8]> + Clone,
) -> impl Iterator<Item = &'a [u8]> + Clone {
    let fits = |bytes: &mut usize, text: &'a [u8]| {
        let begun = *bytes;
        *bytes += text.len();
        (begun < PAGE_BYTES).then_some(text)
    };
    texts.scan(0, fits)
}

/// Returns the bytes that a page holds of `texts`, without the lengths.
fn letters<'a>(texts: impl Iterator<Item = &'a [u8]>, front: usize) -> Vec<u8> {
    let mut fronts = Fronts::new(front);
    texts.for_each(|text| fronts.push(text));
    fronts.letters().to_vec()
}

/// Returns the length of the prefix that nearly every text shares with the one before.
fn front<'a>(texts: impl Iterator<Item = &'a [u8]> + Clone) -> usize {
    let pairs = texts.clone().zip(texts.skip(1));
    let mut fronts: Vec<_> =
        pairs.map(|(one, other)| common_front(one, other, usize::MAX)).collect();
    let rank = fronts.len() / PAIRS;
    match fronts.is_empty() {
        true => 0,
        false => *fronts.select_nth_unstable(rank).1,
    }
}
