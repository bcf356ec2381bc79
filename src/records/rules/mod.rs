//! The rules for records: each one a `static` with its text, beside the function that checks it.
//!
//! Checks are pure functions of a cell or of a record's cells. The fast way over a column and the
//! slow way that explains one record call the same functions, so they cannot disagree.

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
    name.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// `text` without white space around it; the usual cell has none and costs two looks.
pub fn trim(text: &str) -> &str {
    let plain = |byte: Option<&u8>| byte.is_none_or(|b| (0x21..0x7f).contains(b));
    let bytes = text.as_bytes();
    if plain(bytes.first()) && plain(bytes.last()) { text } else { text.trim() }
}

/// `text` as seconds since 1970, if it is 1 to 11 digits and nothing else.
pub fn epoch(text: &str) -> Option<i64> {
    if text.is_empty() || text.len() > 11 {
        return None;
    }
    text.bytes()
        .try_fold(0_i64, |n, byte| byte.is_ascii_digit().then(|| n * 10 + i64::from(byte - b'0')))
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

    #[test]
    fn trims_what_str_trim_trims() {
        for text in ["", "a", " a", "a ", "\u{a0}a b\u{a0}", "é", " "] {
            assert_eq!(trim(text), text.trim(), "{text:?}");
        }
    }
}
