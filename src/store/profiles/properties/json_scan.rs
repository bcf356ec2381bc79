//! Scans JSON as this program writes it: no spaces, no escapes, and lists of strings only. This is
//! much faster than parsing any JSON.
//!
//! A scanned value is valid JSON. The functions return `None` if a value is invalid or written in
//! another way.

use serde::de::IgnoredAny;

/// Scans a JSON string at the start of `rest`. Returns the text between its quotes.
pub fn scan_string<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let after = rest.strip_prefix('"')?;
    let (text, after) = after.split_at(plain_len(after.as_bytes()));
    *rest = after.strip_prefix('"')?;
    Some(text)
}

/// Scans a JSON value at the start of `rest`. Returns the JSON of the value.
pub fn scan_value<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let before = *rest;
    match before.as_bytes().first()? {
        b'"' => _ = scan_string(rest)?,
        b'[' => scan_list(rest, |_| ())?,
        b'{' => return None,
        _ => {
            let (token, after) = before.split_at(before.find([',', '}'])?);
            *rest = after;
            if !is_simple_token(token) {
                let is_space = |byte: u8| byte.is_ascii_whitespace();
                (!token.bytes().any(is_space)).then_some(())?;
                serde_json::from_str::<IgnoredAny>(token).ok()?;
            }
        }
    }
    Some(&before[..before.len() - rest.len()])
}

/// Scans a JSON list of strings at the start of `rest`. Passes the text between the quotes of each
/// string to `each`.
pub fn scan_list<'a>(rest: &mut &'a str, mut each: impl FnMut(&'a str)) -> Option<()> {
    scan_byte(rest, b'[')?;
    if scan_byte(rest, b']').is_some() {
        return Some(());
    }
    loop {
        each(scan_string(rest)?);
        if scan_byte(rest, b',').is_none() {
            return scan_byte(rest, b']');
        }
    }
}

/// Scans the ASCII character `byte` at the start of `rest`.
pub fn scan_byte(rest: &mut &str, byte: u8) -> Option<()> {
    *rest = (rest.as_bytes().first() == Some(&byte)).then(|| &rest[1..])?;
    Some(())
}

/// Returns whether `token` is `true`, `false` or `null`, or a number without fraction and
/// exponent.
fn is_simple_token(token: &str) -> bool {
    let digits = token.strip_prefix('-').unwrap_or(token).as_bytes();
    match digits {
        [b'0'] => true,
        [b'1'..=b'9', ..] => digits.iter().all(u8::is_ascii_digit),
        _ => matches!(token, "true" | "false" | "null"),
    }
}

/// Returns the number of bytes before the first byte that must be escaped in JSON: a quote, a
/// backslash or a control character.
pub fn plain_len(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks();
    for (n, word) in words.iter().enumerate() {
        let escaped = escaped_bytes(u64::from_le_bytes(*word));
        if escaped != 0 {
            return n * 8 + escaped.trailing_zeros() as usize / 8;
        }
    }
    let is_escaped = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    words.len() * 8 + rest.iter().position(is_escaped).unwrap_or(rest.len())
}

/// Sets the highest bit of each byte of `word` that must be escaped in JSON. The bits above the
/// first such byte may be wrong.
fn escaped_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    let below = |bytes: u64, limit: u8| bytes.wrapping_sub(ONES * u64::from(limit)) & !bytes;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | is(b'"') | is(b'\\')) & (ONES << 7)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_values_are_scanned_completely() {
        for json in
            [r#""é""#, r#""""#, "[]", r#"["a","a long text, of more than eight"]"#, "-120", "0"]
        {
            for end in [",", "}"] {
                let whole = format!("{json}{end}");
                let mut rest = whole.as_str();
                assert_eq!(scan_value(&mut rest), Some(json));
                assert_eq!(rest, end);
            }
        }
        for json in ["1.5e3", "true", "false", "null", "123456789012345678901234567890"] {
            assert_eq!(scan_value(&mut format!("{json}}}").as_str()), Some(json));
        }
    }

    #[test]
    fn json_of_other_writers_is_not_scanned() {
        for json in [
            "",
            ",",
            "}",
            "{}",
            "[1]",
            "[",
            "[,]",
            r#"["a",]"#,
            r#"["a""#,
            r#""a\"b""#,
            r#""a"#,
            "01",
            "-",
            "1-2",
            "tru",
            " 1",
            "nulll",
            "\"a\u{1}\"",
            "[[]]",
        ] {
            assert_eq!(scan_value(&mut format!("{json},").as_str()), None, "{json}");
        }
        assert_eq!(scan_value(&mut "1"), None);
    }

    proptest! {
        #[test]
        fn plain_text_ends_at_the_first_escape(
            text in any::<String>(),
            quotes in "[a-z\"\\\\\t]{0,20}",
        ) {
            let text = text + &quotes;
            let is_escaped = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
            let expected = text.bytes().position(is_escaped).unwrap_or(text.len());
            prop_assert_eq!(plain_len(text.as_bytes()), expected);
        }
    }
}
