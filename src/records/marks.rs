//! Finds the bytes that mean something to the lexer, eight bytes of the block at a time.
//!
//! Plain 64-bit arithmetic. `memchr` is made for marks that are far apart; cells are ten bytes
//! long, and then its start-up costs more than this does for everything.

const LOW: u64 = 0x0101_0101_0101_0101;
const LOW_SEVEN: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// The places of `N` different bytes in a block, in order.
pub(super) struct Marks<'a, const N: usize> {
    block: &'a [u8],
    needles: [u64; N],
    /// The place of the eight bytes that `found` is about.
    base: usize,
    /// The high bit of each byte that is a mark and was not given out yet.
    found: u64,
}

impl<'a, const N: usize> Marks<'a, N> {
    /// None of the `marks` is zero.
    pub fn new(block: &'a [u8], marks: [u8; N]) -> Self {
        let needles = marks.map(|mark| LOW * u64::from(mark));
        let mut new = Self { block, needles, base: 0, found: 0 };
        new.found = new.look();
        new
    }

    /// The next mark's place.
    #[inline]
    pub fn next(&mut self) -> Option<usize> {
        while self.found == 0 {
            self.base += 8;
            if self.base >= self.block.len() {
                self.base = self.block.len();
                return None;
            }
            self.found = self.look();
        }
        let at = self.base + (self.found.trailing_zeros() / 8) as usize;
        self.found &= self.found - 1;
        Some(at)
    }

    /// Goes on at `at`, forwards.
    #[inline]
    pub fn skip_to(&mut self, at: usize) {
        self.base = at.min(self.block.len());
        self.found = self.look();
    }

    /// The marks among the eight bytes at `base`; past the block's end are none.
    #[inline]
    fn look(&self) -> u64 {
        let word = match self.block.get(self.base..self.base + 8) {
            Some(eight) => u64::from_le_bytes(eight.try_into().expect("the slice has 8 bytes")),
            None => self.last_word(),
        };
        self.needles.iter().fold(0, |found, needle| found | zero_bytes(word ^ needle))
    }

    #[cold]
    fn last_word(&self) -> u64 {
        let mut eight = [0; 8];
        let rest = &self.block[self.base.min(self.block.len())..];
        eight[..rest.len()].copy_from_slice(rest);
        u64::from_le_bytes(eight)
    }
}

/// The high bit of each byte of `word` that is zero. Exact: no carry leaves its byte.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    !(((word & LOW_SEVEN) + LOW_SEVEN) | word | LOW_SEVEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn finds_every_mark_once(block in "[,\n\"a\u{80}\u{ff}]{0,40}", from in 0_usize..40) {
            let block = block.as_bytes();
            let from = from.min(block.len());
            let mut marks = Marks::new(block, [b',', b'\n', b'"']);
            marks.skip_to(from);
            let found: Vec<_> = std::iter::from_fn(|| marks.next()).collect();
            let is_mark = |at: &usize| b",\n\"".contains(&block[*at]);
            let expected: Vec<_> = (from..block.len()).filter(is_mark).collect();
            proptest::prop_assert_eq!(found, expected);
            proptest::prop_assert_eq!(marks.next(), None);
        }
    }
}
