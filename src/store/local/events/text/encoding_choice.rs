//! How a column of texts is written, by what it begins with.

use std::collections::HashSet;

use parquet::errors::Result;

use super::super::writer_settings::PAGE_BYTES;
use super::compressor::{Compressor, Finder};
use super::delta_byte_array::{Fronts, common_front};
use super::pages::Values;

/// Of so many pairs of texts all but one share the column's front.
const PAIRS: usize = 64;
/// A finder that is faster than level 1 may leave more than it: one in so many bytes.
const MORE: usize = 16;

/// How a column's texts are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Each text once, and which of them a row has.
    Dictionary,
    /// One after the other, without the first bytes of each, at most so many, where the one before
    /// begins with the same.
    Texts { front: usize },
}

/// What is chosen for a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    pub layout: Layout,
    pub finder: Finder,
}

impl Choice {
    /// For a column that begins with `texts`.
    ///
    /// A dictionary where half of them repeat; else the front that nearly all share is left out
    /// where it is a third of the letters. Of the finders it is the fastest that leaves about as
    /// little as level 1 does of the texts as they are.
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

/// As many of `texts` as a page has: repeats farther away are of no use.
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

/// What a page has of `texts`, lengths apart.
fn letters<'a>(texts: impl Iterator<Item = &'a [u8]>, front: usize) -> Vec<u8> {
    let mut fronts = Fronts::new(front);
    texts.for_each(|text| fronts.push(text));
    fronts.letters().to_vec()
}

/// How many bytes nearly every text begins with like the one before.
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
