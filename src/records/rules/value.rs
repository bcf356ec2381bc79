//! The rules for values of type INTEGER, LONG, FLOAT and BOOLEAN. The rule for DATE is in `date`.
//!
//! The cells that the functions get are not empty, and have no white space at their start and end.

use super::digits::{decimal, digits};
use crate::records::rules::rejection::Rule;

pub static INTEGER: Rule = Rule::new(
    "INTEGER value expected",
    "Write a whole number of 32 bits, or map the column as LONG.",
)
.with_help(|_| Some("write a whole number from -2147483648 to 2147483647".into()));

pub static LONG: Rule = Rule::new(
    "LONG value expected",
    "Write a whole number of 64 bits, or map the column as STRING.",
)
.with_help(|_| {
    Some("write a whole number from -9223372036854775808 to 9223372036854775807".into())
});

pub static FLOAT: Rule = Rule::new(
    "FLOAT value expected",
    "Write a number with a decimal point, such as 1234.5, and no unit.",
)
.with_help(|_| Some("write a decimal number such as 12.5".into()));

pub static BOOLEAN: Rule = Rule::new("BOOLEAN value expected", "Write true, false, 1, 0, Y or N.")
    .with_help(|_| Some("write true, false, 1, 0, Y or N".into()));

/// Parses a value of the type INTEGER, an integer of 32 bits.
#[inline]
pub fn integer(text: &str) -> Result<i32, &'static Rule> {
    let usual = digits(text.as_bytes()).and_then(|number| number.try_into().ok());
    usual.map_or_else(|| text.parse().map_err(|_| &INTEGER), Ok)
}

/// Parses a value of the type LONG, an integer of 64 bits.
#[inline]
pub fn long(text: &str) -> Result<i64, &'static Rule> {
    digits(text.as_bytes()).map_or_else(|| text.parse().map_err(|_| &LONG), Ok)
}

/// Parses a value of the type FLOAT, a finite decimal number. `inf` and `nan` are invalid.
#[inline]
pub fn float(text: &str) -> Result<f64, &'static Rule> {
    let bytes = text.as_bytes();
    let usual = if bytes.len() <= 8 { decimal(bytes) } else { long_decimal(bytes) };
    usual.map_or_else(|| any_float(text), Ok)
}

fn any_float(text: &str) -> Result<f64, &'static Rule> {
    if !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'+' | b'-' | b'e' | b'E')) {
        return Err(&FLOAT);
    }
    text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or(&FLOAT)
}

/// Parses at most 15 digits with at most 8 decimals. This function is for texts that are too long
/// for [`decimal`].
///
/// The digits and the power of ten are exact as floats, and the division rounds only once. So the
/// result is the nearest float, as in `parse`.
#[inline]
fn long_decimal(text: &[u8]) -> Option<f64> {
    const TENS: [f64; 9] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8];
    if text.is_empty() || text.len() > 16 || *text.first()? == b'.' {
        return None;
    }
    let (mut number, mut decimals) = (0_u64, None);
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            number = number * 10 + u64::from(digit);
            decimals = decimals.map(|n| n + 1);
        } else if *byte == b'.' && decimals.is_none() {
            decimals = Some(0);
        } else {
            return None;
        }
    }
    let all = text.len() - usize::from(decimals.is_some());
    let ten = TENS.get(decimals.unwrap_or(0)).filter(|_| all <= 15)?;
    Some(number as f64 / ten)
}

/// Parses true, false, 1, 0, Y or N, in upper or lower case.
///
/// The processor can't predict the values, so half of all branches on them would be mispredicted.
/// Therefore the first five characters are compared as one machine word, without a branch. In a
/// shorter text, the last character is repeated.
#[inline]
pub fn boolean(text: &str) -> Result<bool, &'static Rule> {
    const fn word(letters: &[u8; 5]) -> u64 {
        let [a, b, c, d, e] = *letters;
        u64::from_be_bytes([0, 0, 0, a, b, c, d, e])
    }
    let bytes = text.as_bytes();
    let last = bytes.len().checked_sub(1).ok_or(&BOOLEAN)?;
    let letters = (0..5).fold(0, |all, at| all << 8 | u64::from(bytes[last.min(at)]));
    // Converts the letters to lower case.
    let lower = letters | word(&[0x20; 5]);
    let is = |letters, form: &[u8; 5], length| (letters == word(form)) & (bytes.len() == length);
    let yes = is(letters, b"11111", 1) | is(lower, b"yyyyy", 1) | is(lower, b"truee", 4);
    let no = is(letters, b"00000", 1) | is(lower, b"nnnnn", 1) | is(lower, b"false", 5);
    if yes | no { Ok(yes) } else { Err(&BOOLEAN) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_32_bits() {
        for (text, number) in [("0", 0), ("-2147483648", i32::MIN), ("+2147483647", i32::MAX)] {
            assert_eq!(integer(text).unwrap(), number);
        }
        for text in ["2147483648", "1.0", "1e3", "0x1", "1,000", "-", "one", "١"] {
            assert_eq!(integer(text).unwrap_err().text(), "INTEGER value expected", "{text:?}");
        }
    }

    #[test]
    fn longs_have_64_bits() {
        for (text, number) in
            [("2147483648", 1 << 31), ("-9223372036854775808", i64::MIN), ("007", 7)]
        {
            assert_eq!(long(text).unwrap(), number);
        }
        for text in ["9223372036854775808", "1.5", ""] {
            assert_eq!(long(text).unwrap_err().text(), "LONG value expected", "{text:?}");
        }
    }

    #[test]
    fn floats_are_finite_decimals() {
        for (text, number) in [("12.5", 12.5), ("-1", -1.0), (".5", 0.5), ("1e3", 1000.0)] {
            assert_eq!(float(text).unwrap(), number);
        }
        for text in ["inf", "-infinity", "NaN", "1e999", "12,5", "0x10", ".", "e", ""] {
            assert_eq!(float(text).unwrap_err().text(), "FLOAT value expected", "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn fast_number_parsing_matches_the_standard_library(text in "[0-9]{0,12}[.]?[0-9]{0,9}[.x]?") {
            if let Some(number) = long_decimal(text.as_bytes()) {
                proptest::prop_assert_eq!(Ok(number.to_bits()), text.parse().map(f64::to_bits));
            }
            proptest::prop_assert_eq!(float(&text).ok(), any_float(&text).ok());
            proptest::prop_assert_eq!(long(&text).ok(), text.parse().ok());
            proptest::prop_assert_eq!(integer(&text).ok(), text.parse().ok());
        }
    }

    proptest::proptest! {
        #[test]
        fn fast_boolean_parsing_matches_a_plain_comparison(text in "[TtRrUuEeFfAaLlSs01YyNn\\x10-\\x12\\x00]{0,6}") {
            let lower = text.to_ascii_lowercase();
            let (yes, no) = (["true", "1", "y"], ["false", "0", "n"]);
            let expected = yes.contains(&&*lower).then_some(true);
            let expected = expected.or(no.contains(&&*lower).then_some(false));
            proptest::prop_assert_eq!(boolean(&text).ok(), expected);
        }
    }

    #[test]
    fn booleans_are_accepted_in_any_case() {
        for text in ["true", "TRUE", "True", "1", "Y", "y"] {
            assert!(boolean(text).unwrap(), "{text:?}");
        }
        for text in ["false", "FALSE", "0", "N", "n"] {
            assert!(!boolean(text).unwrap(), "{text:?}");
        }
        for text in ["yes", "no", "t", "2", "", "on", "11", "truee", "true\0", "falsey", "\x11"] {
            assert_eq!(boolean(text).unwrap_err().text(), "BOOLEAN value expected", "{text:?}");
        }
    }
}
