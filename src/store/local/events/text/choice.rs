//! How a column of texts is written, by what it begins with.

use std::collections::HashSet;

use parquet::errors::Result;

use super::compressor::{Compressor, Finder};
use super::deltas::{Deltas, common_front};

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
        let whole = deltas(texts.clone(), 0);
        let front = front(texts.clone());
        let without = deltas(texts, front);
        let (front, chosen) = match without.size() * 3 <= whole.size() * 2 {
            true => (front, &without),
            false => (0, &whole),
        };
        let left = |finder, texts: &Deltas<'_>| -> Result<usize> {
            Ok(Compressor::new(finder)?.compress(&[], texts.letters())?.len())
        };
        let most = left(Finder::Far, &whole)?;
        let mut finder = Finder::Far;
        for faster in [Finder::None, Finder::Near] {
            if left(faster, chosen)? <= most + most / MORE {
                finder = faster;
                break;
            }
        }
        Ok(Self { layout: Layout::Texts { front }, finder })
    }
}

fn deltas<'a>(texts: impl Iterator<Item = &'a [u8]>, front: usize) -> Deltas<'a> {
    let mut deltas = Deltas::new(front);
    texts.for_each(|text| deltas.push(text));
    deltas
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
