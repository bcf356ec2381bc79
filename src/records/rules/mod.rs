//! The rules for records: each one a `static` with its text, beside the function that checks it.
//!
//! Checks are pure functions of a cell or of a record's cells. The fast way over a column and the
//! slow way that explains one record call the same functions, so they cannot disagree.

pub mod calendar;
pub mod date;
pub mod event;
pub mod id;
pub mod profile;
pub mod property;
pub mod record;
pub mod timestamp;
pub mod value;

/// A name with case and spaces ignored.
pub fn fold(name: &str) -> String {
    if name.is_ascii() {
        let mut folded = String::with_capacity(name.len());
        let visible = name.bytes().map(char::from).filter(|c| !c.is_whitespace());
        visible.for_each(|c| folded.push(c.to_ascii_lowercase()));
        return folded;
    }
    name.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// `text` without white space around it; the usual cell has none and costs two looks.
pub fn trim(text: &str) -> &str {
    let plain = |byte: Option<&u8>| byte.is_none_or(|b| (0x21..0x7f).contains(b));
    let bytes = text.as_bytes();
    if plain(bytes.first()) && plain(bytes.last()) { text } else { text.trim() }
}

/// `text` as seconds since 1970, if it is 1 to 11 digits and nothing else.
#[inline]
pub fn epoch(text: &str) -> Option<i64> {
    digits(text.as_bytes()).filter(|_| text.len() <= 11)
}

/// The number that 1 to 16 digits and nothing else make.
#[inline]
pub fn digits(text: &[u8]) -> Option<i64> {
    let (rest, last) = match text.split_last_chunk::<8>() {
        Some((rest, last)) => (rest, i64::from(eight_digits(*last)?)),
        None => ([].as_slice(), few_digits(text)?),
    };
    match rest.len() {
        0 => Some(last),
        1..=8 => Some(few_digits(rest)? * 100_000_000 + last),
        _ => None,
    }
}

/// The number that 1 to 8 digits make.
#[inline]
fn few_digits(text: &[u8]) -> Option<i64> {
    let plus = |n: i64, byte: &u8| byte.is_ascii_digit().then(|| n * 10 + i64::from(byte - b'0'));
    if text.is_empty() { None } else { text.iter().try_fold(0, plus) }
}

/// The number that eight digits make: neighbours are joined three times, to two, four and eight.
#[inline]
fn eight_digits(text: [u8; 8]) -> Option<u32> {
    let word = u64::from_le_bytes(text);
    // A digit is 0x3_, and stays so when 6 is added.
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

    #[test]
    fn epochs_are_one_to_eleven_digits() {
        assert_eq!(epoch("0"), Some(0));
        assert_eq!(epoch("99999999999"), Some(99_999_999_999));
        for text in ["", "100000000000", "-1", "+1", "1.0", "1 ", "١"] {
            assert_eq!(epoch(text), None, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn digits_are_what_parse_takes_without_a_sign(text in "[0-9/:x+]{0,2}[0-9]{0,16}[0-9/:é]?") {
            let plain = !text.starts_with('+') && text.len() <= 16;
            let number = text.parse().ok().filter(|_| plain);
            proptest::prop_assert_eq!(digits(text.as_bytes()), number);
        }
    }

    #[test]
    fn trims_what_str_trim_trims() {
        for text in ["", "a", " a", "a ", "\u{a0}a b\u{a0}", "é", " "] {
            assert_eq!(trim(text), text.trim(), "{text:?}");
        }
    }
}
