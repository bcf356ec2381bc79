//! Parses digits, eight bytes at a time.
//!
//! Numbers differ in length, so a loop over bytes often ends with a branch misprediction, which
//! costs more than the conversion. So up to eight bytes are loaded into one word and converted
//! without a loop.

/// The digit 0 in all eight bytes.
const ZEROS: u64 = 0x3030_3030_3030_3030;
/// A point in all eight bytes.
const POINTS: u64 = 0x2e2e_2e2e_2e2e_2e2e;

/// Up to eight bytes, with the first in the lowest byte.
#[derive(Clone, Copy)]
struct ByteWord {
    word: u64,
    count: u32,
}

/// Parses 1 to 16 digits; `None` for any other text.
#[inline]
pub fn digits(text: &[u8]) -> Option<i64> {
    let (first, last) = match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) if text.len() <= 16 => (first, last),
        (None, _) => return ByteWord::new(text)?.number().map(i64::from),
        _ => return None,
    };
    let last = i64::from(eight_digits(u64::from_le_bytes(*last))?);
    if text.len() == 8 {
        return Some(last);
    }
    // Two parts that overlap: the part before the last eight digits counts from the first.
    let first = ByteWord { word: u64::from_le_bytes(*first), count: text.len() as u32 - 8 };
    Some(i64::from(first.number()?) * 100_000_000 + last)
}

/// Parses 1 to 8 bytes of digits with an optional point, which is not the first byte.
///
/// Digits and power of ten are exact as floats, and the division rounds once: the result is the
/// nearest float, like that of `parse`.
#[inline]
pub fn decimal(text: &[u8]) -> Option<f64> {
    const TENS: [f64; 8] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7];
    let bytes = ByteWord::new(text)?;
    let (digits, decimals) = bytes.without_point()?;
    Some(f64::from(digits.number()?) / TENS[decimals as usize & 7])
}

impl ByteWord {
    /// Returns `None` for an empty text, or more than eight bytes.
    #[inline]
    fn new(text: &[u8]) -> Option<Self> {
        let count = text.len();
        // Two parts that overlap: bytes in both are at the same place in the word.
        let word = match (text.first_chunk(), text.last_chunk()) {
            (Some(first), Some(last)) if count <= 8 => {
                let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
                u64::from(first) | u64::from(last) << (8 * (count - 4))
            }
            (None, _) if count > 0 => {
                text.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
            }
            _ => return None,
        };
        Some(Self { word, count: count as u32 })
    }

    /// Removes the first point and returns the number of bytes after it; `None` if the point is the
    /// first byte.
    #[inline]
    fn without_point(self) -> Option<(Self, u32)> {
        let Self { word, count } = self;
        // Sets the highest bit of the lowest zero byte. Higher bits may be wrong.
        let differ = word ^ POINTS;
        let points = differ.wrapping_sub(0x0101_0101_0101_0101) & !differ & 0x8080_8080_8080_8080;
        let before = points.trailing_zeros() / 8;
        if before >= count {
            return Some((self, 0));
        }
        let low = (1_u64 << (8 * before)) - 1;
        let word = word & low | word >> 8 & !low;
        (before > 0).then_some((Self { word, count: count - 1 }, count - 1 - before))
    }

    /// Returns the number if all bytes are digits. The rest of the word is ignored.
    #[inline]
    fn number(self) -> Option<u32> {
        let Self { word, count } = self;
        if count == 8 {
            return eight_digits(word);
        }
        eight_digits(word << (8 * (8 - count)) | ZEROS >> (8 * count))
    }
}

/// Converts eight digits: neighbours are combined three times, to two, four and eight digits.
#[inline]
fn eight_digits(word: u64) -> Option<u32> {
    // A digit is 0x3_, also after adding 6.
    let high = (word & 0xf0f0_f0f0_f0f0_f0f0)
        | ((word.wrapping_add(0x0606_0606_0606_0606) & 0xf0f0_f0f0_f0f0_f0f0) >> 4);
    if high != 0x3333_3333_3333_3333 {
        return None;
    }
    let ones = word & 0x0f0f_0f0f_0f0f_0f0f;
    let twos = (ones.wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (twos.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_ffff_0000_ffff;
    Some((fours.wrapping_mul(10_000 << 32 | 1) >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn digits_match_parse_without_sign(text in "[0-9/:x+]{0,2}[0-9]{0,16}[0-9/:é]?") {
            let plain = !text.starts_with('+') && text.len() <= 16;
            let number = text.parse().ok().filter(|_| plain);
            proptest::prop_assert_eq!(digits(text.as_bytes()), number);
        }

        #[test]
        fn decimals_match_parse(text in "[0-9]{0,8}[.]?[0-9]{0,7}[.x/:é-]?") {
            let own = |text: &&str| !text.starts_with('.') && (1..=8).contains(&text.len());
            let digits = |text: &&str| text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            let number = Some(text.as_str()).filter(own).filter(digits);
            let number = number.and_then(|text| text.parse().ok()).map(f64::to_bits);
            proptest::prop_assert_eq!(decimal(text.as_bytes()).map(f64::to_bits), number);
        }
    }
}
