//! Parses numbers that consist of digits. Handles eight bytes in each step.
//!
//! Because numbers differ in length, a loop over their bytes often ends with a branch
//! misprediction. A misprediction takes longer than the conversion. Therefore up to eight bytes are
//! loaded into one machine word and converted without a loop.

/// A 64-bit word whose eight bytes are the digit 0.
const ZEROS: u64 = 0x3030_3030_3030_3030;
/// A 64-bit word whose eight bytes are points.
const POINTS: u64 = 0x2e2e_2e2e_2e2e_2e2e;

/// A 64-bit word with up to eight bytes of text. The first byte of the text is the lowest byte of
/// the word.
#[derive(Clone, Copy)]
struct ByteWord {
    word: u64,
    count: u32,
}

/// Parses a text of 1 to 16 digits. Returns `None` for any other text.
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
    // The last eight digits are already parsed. The first word has the digits before them.
    let first = ByteWord { word: u64::from_le_bytes(*first), count: text.len() as u32 - 8 };
    Some(i64::from(first.number()?) * 100_000_000 + last)
}

/// Parses 1 to 8 bytes: digits and an optional point. The point must not be the first byte.
///
/// The digits and the power of ten are exact as floats, and the division rounds only once. So the
/// result is the nearest float, as in `parse`.
#[inline]
pub fn decimal(text: &[u8]) -> Option<f64> {
    const TENS: [f64; 8] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7];
    let bytes = ByteWord::new(text)?;
    let (digits, decimals) = bytes.without_point()?;
    Some(f64::from(digits.number()?) / TENS[decimals as usize & 7])
}

impl ByteWord {
    /// Creates a word from `text`; `None` if `text` is empty or longer than eight bytes.
    #[inline]
    fn new(text: &[u8]) -> Option<Self> {
        let count = text.len();
        // The first and the last four bytes can overlap. A byte in both parts has the same position
        // in the word.
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

    /// Removes the first point from the word. Returns the word without the point and the number of
    /// bytes after it. Returns `None` if the point is the first byte.
    #[inline]
    fn without_point(self) -> Option<(Self, u32)> {
        let Self { word, count } = self;
        // The subtraction sets the highest bit of the lowest zero byte, which is the first point.
        // The bits above this byte may be wrong, but are not used.
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

    /// Returns the number in the word. Returns `None` if a byte is not a digit. The unused bytes
    /// of the word are ignored.
    #[inline]
    fn number(self) -> Option<u32> {
        let Self { word, count } = self;
        if count == 8 {
            return eight_digits(word);
        }
        eight_digits(word << (8 * (8 - count)) | ZEROS >> (8 * count))
    }
}

/// Converts eight digits to a number. Three steps combine neighbouring numbers to numbers of two,
/// four and eight digits.
#[inline]
fn eight_digits(word: u64) -> Option<u32> {
    // The high half of a digit's byte is 3. It is still 3 after 6 is added to the byte.
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
        fn parsed_digits_match_the_standard_library(text in "[0-9/:x+]{0,2}[0-9]{0,16}[0-9/:é]?") {
            let plain = !text.starts_with('+') && text.len() <= 16;
            let number = text.parse().ok().filter(|_| plain);
            proptest::prop_assert_eq!(digits(text.as_bytes()), number);
        }

        #[test]
        fn parsed_decimals_match_the_standard_library(text in "[0-9]{0,8}[.]?[0-9]{0,7}[.x/:é-]?") {
            let own = |text: &&str| !text.starts_with('.') && (1..=8).contains(&text.len());
            let digits = |text: &&str| text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            let number = Some(text.as_str()).filter(own).filter(digits);
            let number = number.and_then(|text| text.parse().ok()).map(f64::to_bits);
            proptest::prop_assert_eq!(decimal(text.as_bytes()).map(f64::to_bits), number);
        }
    }
}
