//! Compares and copies short byte strings in words of fixed size. Most cells are short byte
//! strings. The words may overlap or extend beyond the byte string. Comparing and copying words is
//! faster than a call of `memcmp` or `memcpy`.

use std::ops::Range;

/// The number of bytes that are copied for a short cell. Most cells are at most this long. A copy
/// of fixed length takes two instructions. The next cell overwrites the excess bytes.
pub const STRIDE: usize = 32;

/// Appends the bytes `from[range]` to `to`.
#[inline(always)]
pub fn push(to: &mut Vec<u8>, from: &[u8], range: Range<usize>) {
    match from[range.start..].first_chunk::<STRIDE>() {
        Some(more) if range.len() <= STRIDE => {
            let end = to.len() + range.len();
            to.extend_from_slice(more);
            to.truncate(end);
        }
        _ => to.extend_from_slice(&from[range]),
    }
}

/// Returns whether the two byte strings are equal.
#[inline]
pub fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && match (one.last_chunk::<8>(), other.last_chunk::<8>()) {
            (Some(last), Some(others)) if one.len() <= STRIDE => {
                let (words, other_words) = (one.as_chunks::<8>().0, other.as_chunks::<8>().0);
                last == others && words.iter().zip(other_words).all(|(one, other)| one == other)
            }
            (None, _) => match (ends(one), ends(other)) {
                (Some(ends), Some(others)) => ends == others,
                _ => one.iter().zip(other).all(|(one, other)| one == other),
            },
            _ => one == other,
        }
}

/// Returns the first four and the last four bytes of `text`. A text of four to eight bytes consists
/// of these bytes. `None` if the text is shorter than four bytes.
#[inline]
fn ends(text: &[u8]) -> Option<[&[u8; 4]; 2]> {
    Some([text.first_chunk()?, text.last_chunk()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn fast_comparison_matches_slice_equality(
            one in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
            other in "[ab]{0,40}",
            (at, bit) in (0_usize..40, 0_u32..8),
        ) {
            let mut changed = one.clone();
            if let Some(byte) = changed.get_mut(at) {
                *byte ^= 1_u8 << bit;
            }
            for (one, other) in [(&*one, other.as_bytes()), (&one, &changed), (&one, &one)] {
                proptest::prop_assert_eq!(same(one, other), one == other);
            }
        }

        #[test]
        fn push_appends_the_requested_range(from in "[a-zé]{0,80}", at in 0_usize..80, length in 0_usize..80) {
            let from = from.as_bytes();
            let start = at.min(from.len());
            let range = start..(start + length).min(from.len());
            let mut to = b"before".to_vec();
            push(&mut to, from, range.clone());
            proptest::prop_assert_eq!(to, [b"before", &from[range]].concat());
        }
    }
}
