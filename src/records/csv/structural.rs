//! Finds the structural bytes of a block for the lexer. Each step searches 64 bytes.
//!
//! `memchr` is optimised for matches that are far apart. Cells are about ten bytes long. At that
//! distance, the start of each `memchr` call takes longer than the whole search in this file.

use wide::u8x16;

/// The number of bytes that the search compares in one step.
const WINDOW: usize = 64;

/// Iterates over the positions in a block at which one of `N` different bytes occurs.
pub struct StructuralBytes<'a, const N: usize> {
    block: &'a [u8],
    marks: [u8; N],
    /// The position in the block of the window that `found` describes.
    base: usize,
    /// A bit mask of the current window. A set bit means that the byte is one of `marks` and its
    /// position was not returned yet.
    found: u64,
}

impl<'a, const N: usize> StructuralBytes<'a, N> {
    /// Creates an iterator over the positions of `marks` in `block`. A mark must not be the byte 0.
    pub fn new(block: &'a [u8], marks: [u8; N]) -> Self {
        let mut new = Self { block, marks, base: 0, found: 0 };
        new.found = new.find_marks();
        new
    }

    /// Returns the next position of a byte that is one of `marks`. Returns `None` at the end of
    /// the block.
    #[inline]
    pub fn next(&mut self) -> Option<usize> {
        while self.found == 0 {
            self.base += WINDOW;
            if self.base >= self.block.len() {
                self.base = self.block.len();
                return None;
            }
            self.found = self.find_marks();
        }
        let at = self.base + self.found.trailing_zeros() as usize;
        self.found &= self.found - 1;
        Some(at)
    }

    /// Continues the search at position `at`, which must not be before the current position.
    #[inline]
    pub fn skip_to(&mut self, at: usize) {
        let passed = at - self.base.min(at);
        if passed < WINDOW {
            self.found &= u64::MAX << passed;
        } else {
            self.base = at.min(self.block.len());
            self.found = self.find_marks();
        }
    }

    /// Returns the bit mask of the window at `base`. The bits after the end of the block are 0.
    #[inline]
    fn find_marks(&self) -> u64 {
        match self.block[self.base..].first_chunk() {
            Some(window) => find(window, self.marks),
            None => find(&self.last_window(), self.marks),
        }
    }

    #[cold]
    fn last_window(&self) -> [u8; WINDOW] {
        let mut window = [0; WINDOW];
        let rest = &self.block[self.base..];
        window[..rest.len()].copy_from_slice(rest);
        window
    }
}

/// Returns a bit mask of `window`. A set bit means that the byte is one of `marks`.
#[inline]
fn find<const N: usize>(window: &[u8; WINDOW], marks: [u8; N]) -> u64 {
    window.as_chunks::<16>().0.iter().zip(0..).fold(0, |found, (bytes, at)| {
        let bytes = u8x16::new(*bytes);
        let is_mark = marks
            .iter()
            .fold(u8x16::ZERO, |is_mark, mark| is_mark | bytes.simd_eq(u8x16::splat(*mark)));
        found | u64::from(is_mark.to_bitmask()) << (16 * at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn every_structural_byte_is_found_once(
            block in "[,\n\"a\u{80}\u{ff}]{0,200}",
            from in 0_usize..200,
            skip in 0_usize..100,
        ) {
            let block = block.as_bytes();
            let is_mark = |at: &usize| b",\n\"".contains(&block[*at]);
            let from = from.min(block.len());
            let mut marks = StructuralBytes::new(block, [b',', b'\n', b'"']);
            marks.skip_to(from);
            let first = marks.next();
            proptest::prop_assert_eq!(first, (from..block.len()).find(is_mark));
            let rest = first.map_or(block.len(), |at| (at + 1 + skip).min(block.len()));
            marks.skip_to(rest);
            let found: Vec<_> = std::iter::from_fn(|| marks.next()).collect();
            let expected: Vec<_> = (rest..block.len()).filter(is_mark).collect();
            proptest::prop_assert_eq!(found, expected);
            proptest::prop_assert_eq!(marks.next(), None);
        }
    }
}
