//! The rules for records. Each rule is a `static` with its text, next to the function that checks
//! the rule.
//!
//! The result of a check depends only on one cell or on the cells of one record. The fast code that
//! checks a whole column and the slow code that explains one record call the same functions.
//! Therefore their results cannot differ.

pub mod calendar;
pub mod catalogue;
pub mod date;
pub mod digits;
pub mod event;
pub mod id;
pub mod profile;
pub mod property;
pub mod record;
pub mod rejection;
pub mod timestamp;
pub mod value;

use crate::sanitize::normalized;

/// Returns whether `c` is a hyphen, a dash or a minus sign.
pub fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// Returns the form of a name for comparisons. This form is normalised, in lower case, and has no
/// white space.
pub fn fold(name: &str) -> String {
    if name.is_ascii() {
        let mut folded = String::with_capacity(name.len());
        let visible = name.bytes().map(char::from).filter(|c| !c.is_whitespace());
        visible.for_each(|c| folded.push(c.to_ascii_lowercase()));
        return folded;
    }
    normalized(name).chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// Returns `text` without white space at its start and end. If `text` has no such white space, two
/// comparisons are sufficient.
pub fn trim(text: &str) -> &str {
    let plain = |byte: Option<&u8>| byte.is_none_or(|b| (0x21..0x7f).contains(b));
    let bytes = text.as_bytes();
    if plain(bytes.first()) && plain(bytes.last()) { text } else { text.trim() }
}

/// The latest valid `ts`, in seconds since 1970. It is the largest number of eleven digits, a time
/// in the year 5138.
pub const LATEST_EPOCH: i64 = 99_999_999_999;

/// Parses seconds since 1970 with 1 to 11 digits. Returns `None` for any other text.
#[inline]
pub fn epoch(text: &[u8]) -> Option<i64> {
    if text.len() > 11 { None } else { digits::digits(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_have_one_to_eleven_digits() {
        assert_eq!(epoch(b"0"), Some(0));
        assert_eq!(epoch(b"99999999999"), Some(99_999_999_999));
        for text in ["", "100000000000", "-1", "+1", "1.0", "1 ", "١"] {
            assert_eq!(epoch(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn trimmed_texts_match_the_standard_library() {
        for text in ["", "a", " a", "a ", "\u{a0}a b\u{a0}", "é", " "] {
            assert_eq!(trim(text), text.trim(), "{text:?}");
        }
    }
}
