//! The typed values: INTEGER, LONG, FLOAT and BOOLEAN. (DATE is in `date`.)
//!
//! Each function takes a cell without white space around it that is not empty.

use crate::records::rejection::Rule;

pub static INTEGER: Rule = Rule::new("INTEGER value expected")
    .with_help(|_| Some("write a whole number from -2147483648 to 2147483647".to_owned()));

pub static LONG: Rule = Rule::new("LONG value expected").with_help(|_| {
    Some("write a whole number from -9223372036854775808 to 9223372036854775807".to_owned())
});

pub static FLOAT: Rule = Rule::new("FLOAT value expected")
    .with_help(|_| Some("write a decimal number such as 12.5".to_owned()));

pub static BOOLEAN: Rule = Rule::new("BOOLEAN value expected")
    .with_help(|_| Some("write true, false, 1, 0, Y or N".to_owned()));

/// A whole number of 32 bits.
pub fn integer(text: &str) -> Result<i32, &'static Rule> {
    text.parse().map_err(|_| &INTEGER)
}

/// A whole number of 64 bits.
pub fn long(text: &str) -> Result<i64, &'static Rule> {
    text.parse().map_err(|_| &LONG)
}

/// A finite decimal number; `inf` and `nan` are words, and words are not numbers here.
pub fn float(text: &str) -> Result<f64, &'static Rule> {
    if !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'+' | b'-' | b'e' | b'E')) {
        return Err(&FLOAT);
    }
    text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or(&FLOAT)
}

/// true/false, 1/0, Y/N, in any case.
pub fn boolean(text: &str) -> Result<bool, &'static Rule> {
    match text.as_bytes() {
        [b'1' | b'Y' | b'y'] => Ok(true),
        [b'0' | b'N' | b'n'] => Ok(false),
        word if word.eq_ignore_ascii_case(b"true") => Ok(true),
        word if word.eq_ignore_ascii_case(b"false") => Ok(false),
        _ => Err(&BOOLEAN),
    }
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

    #[test]
    fn booleans_are_six_words_in_any_case() {
        for text in ["true", "TRUE", "True", "1", "Y", "y"] {
            assert!(boolean(text).unwrap(), "{text:?}");
        }
        for text in ["false", "FALSE", "0", "N", "n"] {
            assert!(!boolean(text).unwrap(), "{text:?}");
        }
        for text in ["yes", "no", "t", "2", "", "on"] {
            assert_eq!(boolean(text).unwrap_err().text(), "BOOLEAN value expected", "{text:?}");
        }
    }
}
