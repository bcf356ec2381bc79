//! Chooses the encoding of a text column according to the first values of the column.

use std::collections::HashSet;

use parquet::errors::Result;

use super::super::writer_settings::PAGE_BYTES;
use super::compressor::{Compressor, MatchFinder};
use super::delta_byte_array::{DeltaByteArray, common_prefix};
use super::pages::PageValues;

/// The number of pairs of neighbouring texts in which one pair may be without the column's prefix.
const PAIRS_PER_EXCEPTION: usize = 64;
/// The maximum extra size for a match finder that is faster than level 1: one byte in this number
/// of bytes.
const EXTRA_SHARE: usize = 16;

/// The layout of the texts of a column in Parquet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextLayout {
    /// Each text is stored once. Each row has the index of its text.
    Dictionary,
    /// The texts are stored one after another. Each text omits the prefix that it shares with the
    /// previous text, at most `max_prefix` bytes.
    DeltaByteArray { max_prefix: usize },
}

/// The layout and the compression that are chosen for a text column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodingChoice {
    pub layout: TextLayout,
    pub finder: MatchFinder,
}

impl EncodingChoice {
    /// Chooses the encoding of a column that begins with `texts`.
    ///
    /// The layout is a dictionary if half of the texts are repeats. Otherwise the common prefix is
    /// omitted if it makes up a third of the bytes. The match finder is the fastest that compresses
    /// about as well as level 1 does without omitting a prefix.
    ///
    /// # Errors
    /// Returns an error if memory runs out.
    pub fn new<'a>(texts: impl Iterator<Item = &'a [u8]> + Clone) -> Result<Self> {
        let count = texts.clone().count();
        if texts.clone().collect::<HashSet<_>>().len() * 2 <= count {
            return Ok(Self { layout: TextLayout::Dictionary, finder: MatchFinder::Far });
        }
        let texts = take_page(texts);
        let whole = page_text(texts.clone(), 0);
        let prefix = column_prefix(texts.clone());
        let shortened = page_text(texts, prefix);
        let (max_prefix, chosen) = match shortened.len() * 3 <= whole.len() * 2 {
            true => (prefix, &shortened),
            false => (0, &whole),
        };
        let compressed_len = |finder, text: &[u8]| -> Result<usize> {
            Ok(Compressor::new(finder)?.compress(&[], text)?.len())
        };
        let level_1 = compressed_len(MatchFinder::Far, &whole)?;
        let mut finder = MatchFinder::Far;
        for faster in [MatchFinder::Nothing, MatchFinder::Near] {
            if compressed_len(faster, chosen)? <= level_1 + level_1 / EXTRA_SHARE {
                finder = faster;
                break;
            }
        }
        Ok(Self { layout: TextLayout::DeltaByteArray { max_prefix }, finder })
    }
}

/// Returns the first texts of `texts`, as many as fit into one page. zstd finds no repetitions
/// across pages.
fn take_page<'a>(
    texts: impl Iterator<Item = &'a [u8]> + Clone,
) -> impl Iterator<Item = &'a [u8]> + Clone {
    let fits = |bytes: &mut usize, text: &'a [u8]| {
        let before = *bytes;
        *bytes += text.len();
        (before < PAGE_BYTES).then_some(text)
    };
    texts.scan(0, fits)
}

/// Returns the number of bytes that `texts` take in one page. The lengths of the texts do not
/// count.
fn page_text<'a>(texts: impl Iterator<Item = &'a [u8]>, max_prefix: usize) -> Vec<u8> {
    let mut page = DeltaByteArray::new(max_prefix);
    texts.for_each(|text| page.push(text));
    page.text().to_vec()
}

/// Returns the length of the prefix that nearly every text shares with the text before it.
fn column_prefix<'a>(texts: impl Iterator<Item = &'a [u8]> + Clone) -> usize {
    let pairs = texts.clone().zip(texts.skip(1));
    let mut prefixes: Vec<_> =
        pairs.map(|(one, other)| common_prefix(one, other, usize::MAX)).collect();
    let rank = prefixes.len() / PAIRS_PER_EXCEPTION;
    match prefixes.is_empty() {
        true => 0,
        false => *prefixes.select_nth_unstable(rank).1,
    }
}
