//! Encodes and decodes numbers and byte strings. The decoder does not validate its input.
//!
//! Only this process wrote the decoded bytes, to its memory or to an unnamed file. Therefore
//! partners' input and stored files can't influence them.

const WHOLE: &str = "the bytes were written by this process";

/// Appends a number as a LEB128 varint: seven bits per byte, the lowest bits first.
#[inline]
pub fn push_number(out: &mut Vec<u8>, mut n: u64) {
    while n > 0x7f {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Appends a signed number as a zigzag varint, which is short for small positive and negative
/// numbers.
#[inline]
pub fn push_signed(out: &mut Vec<u8>, n: i64) {
    push_number(out, (n << 1 ^ n >> 63).cast_unsigned());
}

/// Removes the varint at the start of `rest`. Returns its value.
#[inline]
pub fn take_number(rest: &mut &[u8]) -> u64 {
    let mut n = 0;
    for shift in (0..).step_by(7) {
        let [byte] = take_array(rest);
        n |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    n
}

/// Removes the signed number at the start of `rest`, which [`push_signed`] wrote. Returns its
/// value.
#[inline]
pub fn take_signed(rest: &mut &[u8]) -> i64 {
    let n = take_number(rest);
    (n >> 1).cast_signed() ^ -(n & 1).cast_signed()
}

/// Removes and returns the first `N` bytes of `rest`.
#[inline]
pub fn take_array<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    *rest.split_off(..N).and_then(<[u8]>::as_array).expect(WHOLE)
}

/// Removes and returns the first `len` bytes of `rest`.
#[inline]
pub fn take<'a>(rest: &mut &'a [u8], len: usize) -> &'a [u8] {
    rest.split_off(..len).expect(WHOLE)
}

/// Converts bytes that were encoded from a text to that text.
#[inline]
pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect(WHOLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn encoded_numbers_decode_to_the_same_value(n in proptest::prelude::any::<u64>(), shift in 0..64) {
            let n = n >> shift;
            let mut bytes = Vec::new();
            push_number(&mut bytes, n);
            push_signed(&mut bytes, n.cast_signed());
            push_signed(&mut bytes, i64::MIN);
            let mut rest = bytes.as_slice();
            proptest::prop_assert_eq!(take_number(&mut rest), n);
            proptest::prop_assert_eq!(take_signed(&mut rest), n.cast_signed());
            proptest::prop_assert_eq!(take_signed(&mut rest), i64::MIN);
            proptest::prop_assert!(rest.is_empty());
        }
    }
}
