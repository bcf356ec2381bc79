//! Explains why a manifest is not JSON, for somebody who wrote it by hand.
//!
//! serde_json decides whether a text is JSON. [`Scanner`] reads a rejected text again, to name the
//! mistake and its place.

use super::json::quote;
use crate::sanitize::is_unprintable;

/// The first bytes of file formats that are not JSON text.
const FOREIGN: [(&[u8], &str); 8] = [
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"\xd0\xcf\x11\xe0", "an office document"),
    (b"%PDF", "a PDF document"),
    (b"{\\rtf", "a rich text document (RTF)"),
    (b"<", "XML or HTML"),
    (b"---", "YAML"),
];

/// Returns the reason why `bytes` cannot be JSON in UTF-8. `None` if no reason is known.
pub(super) fn explain_bytes(bytes: &[u8]) -> Option<String> {
    if bytes.trim_ascii().is_empty() {
        return Some("the manifest is empty".to_owned());
    }
    if bytes.iter().all(|byte| *byte == 0) {
        return Some("the manifest contains only NUL bytes: upload it again".to_owned());
    }
    if let Some(utf16) = Utf16::of(bytes) {
        return Some(format!("the manifest is {} text: save it as UTF-8", utf16.name()));
    }
    if let Some((_, what)) = FOREIGN.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Some(format!("the manifest is {what}: save it as plain JSON text in UTF-8"));
    }
    let valid = std::str::from_utf8(bytes).err()?.valid_up_to();
    let (line, column) = place(&String::from_utf8_lossy(&bytes[..valid]));
    Some(format!(
        "the manifest is not UTF-8 text: line {line}, column {column} has the byte 0x{:02X}; \
         save it as UTF-8",
        bytes[valid]
    ))
}

/// Returns the readable part of a manifest that is UTF-16 or has invalid bytes.
pub(super) fn decode(bytes: &[u8]) -> String {
    match Utf16::of(bytes) {
        Some(Utf16::Little) => encoding_rs::UTF_16LE.decode(bytes).0.into_owned(),
        Some(Utf16::Big) => encoding_rs::UTF_16BE.decode(bytes).0.into_owned(),
        Some(Utf16::Utf32) | None => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// An encoding with several bytes per character.
#[derive(Clone, Copy)]
enum Utf16 {
    Little,
    Big,
    Utf32,
}

impl Utf16 {
    /// Returns the encoding of `bytes`, recognised by a byte order mark or by the NUL bytes around
    /// `{`.
    fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some(Self::Utf32),
            [b'{', 0, 0, 0, ..] | [0, 0, 0, b'{', ..] => Some(Self::Utf32),
            [0xff, 0xfe, ..] | [b'{', 0, ..] => Some(Self::Little),
            [0xfe, 0xff, ..] | [0, b'{', ..] => Some(Self::Big),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Little | Self::Big => "UTF-16",
            Self::Utf32 => "UTF-32",
        }
    }
}

/// Returns the mistake in `text`, which is not JSON, with its line and column. `error` is the error
/// that serde_json returned.
pub(super) fn explain(text: &str, error: &serde_json::Error) -> String {
    let (line, column, what) = match Scanner::new(text).find_fault() {
        Some(Fault { at, what }) => {
            let (line, column) = place(&text[..at]);
            (line, column, what)
        }
        None => {
            let what = error.to_string();
            let end = what.find(" at line ").unwrap_or(what.len());
            (error.line(), error.column(), what[..end].to_owned())
        }
    };
    format!("the manifest is not valid JSON: line {line}, column {column}: {what}")
}

/// Returns the line and the column, in characters, of the position after `before`.
fn place(before: &str) -> (usize, usize) {
    let line = 1 + before.matches('\n').count();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (line, 1 + before[start..].chars().count())
}

/// A mistake in a JSON text, and its place in the text.
#[derive(Debug)]
struct Fault {
    at: usize,
    what: String,
}

impl Fault {
    fn new(at: usize, what: impl Into<String>) -> Self {
        Self { at, what: what.into() }
    }
}

/// The kinds of tokens that may follow in a JSON text.
#[derive(Clone, Copy, PartialEq)]
enum Expected {
    Value,
    /// The first name of an object or the end of the object may follow.
    NameOrEnd,
    /// A name may follow, because a comma came before.
    Name,
    Colon,
    /// The first value of a list or the end of the list may follow.
    ValueOrEnd,
    CommaOrEnd,
    /// No token may follow, because the manifest is complete.
    Nothing,
}

#[derive(Clone, Copy, PartialEq)]
enum Token<'a> {
    Text,
    /// The token is a number, `true`, `false` or `null`.
    Scalar,
    /// The token is any other word of letters and digits.
    Word(&'a str),
    Sign(char),
    End,
}

/// Reads a text as JSON up to the first mistake.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// The signs `{` or `[` of the objects and lists that are open.
    open: Vec<char>,
    /// The position in the text after the last token.
    last_end: usize,
    /// The position in the text of the last comma.
    comma: usize,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, open: Vec::new(), last_end: 0, comma: 0 }
    }

    fn find_fault(mut self) -> Option<Fault> {
        let mut expected = Expected::Value;
        loop {
            let rest = &self.text[self.at..];
            self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
            let start = self.at;
            let token = match self.token() {
                Ok(token) => token,
                Err(fault) => return Some(fault),
            };
            let next = match (expected, token) {
                (Expected::Nothing, Token::End) => return None,
                (Expected::Value | Expected::ValueOrEnd, Token::Text | Token::Scalar) => {
                    self.after_value()
                }
                (Expected::Value | Expected::ValueOrEnd, Token::Sign(sign @ ('{' | '['))) => {
                    self.open.push(sign);
                    if sign == '{' { Expected::NameOrEnd } else { Expected::ValueOrEnd }
                }
                (Expected::Name | Expected::NameOrEnd, Token::Text) => Expected::Colon,
                (Expected::Colon, Token::Sign(':')) => Expected::Value,
                (Expected::NameOrEnd, Token::Sign('}'))
                | (Expected::ValueOrEnd, Token::Sign(']')) => self.close(),
                (Expected::CommaOrEnd, Token::Sign(sign @ ('}' | ']')))
                    if self.closing() == Some(sign) =>
                {
                    self.close()
                }
                (Expected::CommaOrEnd, Token::Sign(',')) => {
                    self.comma = start;
                    if self.open.last() == Some(&'{') { Expected::Name } else { Expected::Value }
                }
                _ => return Some(self.unexpected(expected, token, start)),
            };
            self.last_end = self.at;
            expected = next;
        }
    }

    fn close(&mut self) -> Expected {
        self.open.pop();
        self.after_value()
    }

    fn after_value(&self) -> Expected {
        if self.open.is_empty() { Expected::Nothing } else { Expected::CommaOrEnd }
    }

    /// Returns the sign that closes the innermost object or list.
    fn closing(&self) -> Option<char> {
        self.open.last().map(|open| if *open == '{' { '}' } else { ']' })
    }

    /// Reads the next token of the text. Returns an error if the token itself has a mistake.
    fn token(&mut self) -> Result<Token<'a>, Fault> {
        let (start, rest) = (self.at, &self.text[self.at..]);
        let Some(first) = rest.chars().next() else { return Ok(Token::End) };
        if first == '"' {
            return self.quoted().map(|()| Token::Text);
        }
        if !(first.is_alphanumeric() || matches!(first, '-' | '+' | '.' | '_' | '$')) {
            self.at += first.len_utf8();
            return Ok(Token::Sign(first));
        }
        let is_inside = |c: char| c.is_alphanumeric() || matches!(c, '-' | '+' | '.' | '_' | '$');
        let word = &rest[..rest.find(|c| !is_inside(c)).unwrap_or(rest.len())];
        self.at += word.len();
        let is_number = serde_json::from_str::<serde_json::Number>(word).is_ok();
        if is_number || matches!(word, "true" | "false" | "null") {
            return Ok(Token::Scalar);
        }
        if first.is_ascii_digit() || matches!(first, '-' | '+' | '.') {
            let what = format!("{} is not a number in JSON: write it in quotes", quote(word));
            return Err(Fault::new(start, what));
        }
        Ok(Token::Word(word))
    }

    /// Reads a JSON text in quotes, up to its closing quote.
    fn quoted(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let mut chars = self.text[start + 1..].char_indices();
        while let Some((at, c)) = chars.next() {
            let at = start + 1 + at;
            match c {
                '"' => {
                    self.at = at + 1;
                    return Ok(());
                }
                '\n' | '\r' => {
                    let what = "a line break inside quotes: is the closing quote missing?";
                    return Err(Fault::new(at, what));
                }
                '\t' => return Err(Fault::new(at, "a tab inside quotes: write \\t")),
                '\0'..' ' => {
                    let code = u32::from(c);
                    return Err(Fault::new(at, format!("the control character U+{code:04X}")));
                }
                '\\' => match chars.next() {
                    Some((_, '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' | 'u')) => {}
                    _ => {
                        let what = "a single \\ inside quotes: write it twice";
                        return Err(Fault::new(at, what));
                    }
                },
                _ => {}
            }
        }
        Err(Fault::new(start, "the quote that begins here is never closed"))
    }

    /// Explains why `token` is not allowed at a place where `expected` may follow.
    fn unexpected(&self, expected: Expected, token: Token<'a>, at: usize) -> Fault {
        if let Token::Sign(sign) = token
            && let Some(what) = explain_sign(sign, &self.text[at..])
        {
            return Fault::new(at, what);
        }
        let what = match (token, expected) {
            (Token::End, _) => match self.closing() {
                Some(sign) => format!("the text ends before the closing {sign}"),
                None => "the text ends too early".to_owned(),
            },
            (Token::Sign(sign @ ('}' | ']')), Expected::Name | Expected::Value)
                if self.is_after_comma() =>
            {
                return Fault::new(self.comma, format!("a comma before the closing {sign}"));
            }
            (Token::Sign(','), Expected::Value) if !self.is_after_comma() => {
                "a value is missing before the comma".to_owned()
            }
            (Token::Sign(','), Expected::Name | Expected::Value)
            | (Token::Sign(','), Expected::NameOrEnd | Expected::ValueOrEnd) => {
                "a comma too many".to_owned()
            }
            (_, Expected::Value) if self.open.is_empty() => "a manifest begins with {".to_owned(),
            (Token::Sign('}' | ']'), Expected::Value) => "a value is missing".to_owned(),
            (Token::Word(word), Expected::Value | Expected::ValueOrEnd) => explain_value(word),
            (Token::Word(word), Expected::Name | Expected::NameOrEnd) => {
                format!("a name without quotes: write {}", quote(word))
            }
            (Token::Sign('='), Expected::Colon) => "write : instead of =".to_owned(),
            (_, Expected::Colon) => "a colon is missing after the name".to_owned(),
            (_, Expected::Name | Expected::NameOrEnd) => {
                "a name in double quotes is expected".to_owned()
            }
            (Token::Sign(';'), Expected::CommaOrEnd) => "write , instead of ;".to_owned(),
            (Token::Word(_), Expected::CommaOrEnd) if at == self.last_end => {
                "write a quote inside quotes as \\\"".to_owned()
            }
            (Token::Sign(sign @ ('}' | ']')), Expected::CommaOrEnd) => {
                let closing = self.closing().unwrap_or_default();
                format!("{closing} is expected, not {sign}")
            }
            (Token::Text | Token::Scalar | Token::Word(_), Expected::CommaOrEnd)
            | (Token::Sign('{' | '['), Expected::CommaOrEnd) => {
                return Fault::new(self.last_end, "a comma is missing");
            }
            (Token::Sign('{'), Expected::Nothing) => {
                "a second manifest begins here: a manifest names one file".to_owned()
            }
            (_, Expected::Nothing) => "text after the closing }".to_owned(),
            (Token::Sign(sign), _) => format!("{} is not expected", quote(&sign.to_string())),
            _ => "a value is expected".to_owned(),
        };
        Fault::new(at, what)
    }

    fn is_after_comma(&self) -> bool {
        self.comma > 0 && self.comma + 1 == self.last_end
    }
}

/// Explains a character that JSON does not allow outside of quotes.
fn explain_sign(sign: char, rest: &str) -> Option<String> {
    Some(match sign {
        '#' => "a comment: JSON has none, remove it".to_owned(),
        '/' if rest.starts_with("//") || rest.starts_with("/*") => {
            "a comment: JSON has none, remove it".to_owned()
        }
        '“' | '”' | '„' | '‟' | '«' | '»' | '‘' | '’' | '‚' | '‹' | '›' | '″' =>
        {
            format!("a curly quote ({sign}): write straight quotes (\")")
        }
        '\'' | '`' | '´' => format!("a single quote ({sign}): write double quotes (\")"),
        '\u{ff01}'..='\u{ff5e}' => {
            let ascii = char::from_u32(u32::from(sign) - 0xfee0).unwrap_or(sign);
            format!("a full-width character ({sign}): write {ascii}")
        }
        _ if is_unprintable(sign) || (sign.is_whitespace() && !sign.is_ascii()) => {
            format!("an invisible character (U+{:04X}): remove it", u32::from(sign))
        }
        _ => return None,
    })
}

/// Explains a word at a place where a value is expected.
fn explain_value(word: &str) -> String {
    match word.to_ascii_lowercase().as_str() {
        lower @ ("true" | "false" | "null") => format!("write {word} as {lower}"),
        "none" | "nil" | "undefined" => format!("write {word} as null"),
        _ => format!("text without quotes: write {}", quote(word)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(text: &str) -> String {
        let error = serde_json::from_str::<serde_json::Value>(text).unwrap_err();
        let text = explain(text, &error);
        text.strip_prefix("the manifest is not valid JSON: line ").unwrap().to_owned()
    }

    #[test]
    fn syntax_errors_name_mistake_and_place() {
        for (text, expected) in [
            ("{\"a\":1,\n}", "1, column 7: a comma before the closing }"),
            ("{\"a\":[1,2,]}", "1, column 10: a comma before the closing ]"),
            ("{\"a\":1,,\"b\":2}", "1, column 8: a comma too many"),
            ("{,\"a\":1}", "1, column 2: a comma too many"),
            ("{\n // why\n \"a\":1}", "2, column 2: a comment: JSON has none, remove it"),
            ("{\"a\":1 /* x */}", "1, column 8: a comment: JSON has none, remove it"),
            ("{\"a\":1} # x", "1, column 9: a comment: JSON has none, remove it"),
            ("{“a”:1}", "1, column 2: a curly quote (“): write straight quotes (\")"),
            ("{\"ü\":„x“}", "1, column 6: a curly quote („): write straight quotes (\")"),
            ("{'a':1}", "1, column 2: a single quote ('): write double quotes (\")"),
            ("{a:1}", "1, column 2: a name without quotes: write \"a\""),
            ("{\"a\":event}", "1, column 6: text without quotes: write \"event\""),
            ("{\"a\":True}", "1, column 6: write True as true"),
            ("{\"a\":None}", "1, column 6: write None as null"),
            ("{\"a\":}", "1, column 6: a value is missing"),
            ("{\"a\":,\"b\":1}", "1, column 6: a value is missing before the comma"),
            ("{\"a\" 1}", "1, column 6: a colon is missing after the name"),
            ("{\"a\"=1}", "1, column 5: write : instead of ="),
            ("{\"a\":1;\"b\":2}", "1, column 7: write , instead of ;"),
            ("{\"a\":\"x\"\n \"b\":2}", "1, column 9: a comma is missing"),
            ("{\"a\":\"x\"y\"}", "1, column 9: write a quote inside quotes as \\\""),
            (
                "{\"a\":\"x\n\"}",
                "1, column 8: a line break inside quotes: is the closing quote missing?",
            ),
            ("{\"a\":\"x\ty\"}", "1, column 8: a tab inside quotes: write \\t"),
            ("{\"a\":\"out\\data\"}", "1, column 10: a single \\ inside quotes: write it twice"),
            ("{\"a\":\"x}", "1, column 6: the quote that begins here is never closed"),
            ("{\"a\":05}", "1, column 6: \"05\" is not a number in JSON: write it in quotes"),
            ("{\"a\":1", "1, column 7: the text ends before the closing }"),
            ("{\"a\":[1}", "1, column 8: ] is expected, not }"),
            ("{\"a\":1}}", "1, column 8: text after the closing }"),
            (
                "{\"a\":1}\n{\"a\":2}",
                "2, column 1: a second manifest begins here: a manifest names one file",
            ),
            ("type: event", "1, column 1: a manifest begins with {"),
            ("{\u{a0}\"a\":1}", "1, column 2: an invisible character (U+00A0): remove it"),
            ("{\"a\"：1}", "1, column 5: a full-width character (：): write :"),
            ("{\"a\":\"\\ud800\"}", "1, column 13: unexpected end of hex escape"),
        ] {
            assert_eq!(explained(text), expected, "{text}");
        }
    }

    #[test]
    fn errors_name_the_file_format() {
        let utf16: Vec<u8> = "{\"a\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (bytes, expected) in [
            (&b" \n"[..], "the manifest is empty"),
            (b"\0\0", "the manifest contains only NUL bytes: upload it again"),
            (b"\xff\xfe{\0", "the manifest is UTF-16 text: save it as UTF-8"),
            (&utf16, "the manifest is UTF-16 text: save it as UTF-8"),
            (b"\xff\xfe\0\0{\0\0\0", "the manifest is UTF-32 text: save it as UTF-8"),
            (
                b"{\n\"a\":\"\xfc\"}",
                "the manifest is not UTF-8 text: line 2, column 6 has the byte 0xFC; save it as \
                 UTF-8",
            ),
            (
                b"{\\rtf1",
                "the manifest is a rich text document (RTF): save it as plain JSON text in UTF-8",
            ),
        ] {
            assert_eq!(explain_bytes(bytes).as_deref(), Some(expected));
        }
        assert_eq!(explain_bytes("{\"ü\":1}".as_bytes()), None);
        assert!(decode(&utf16).contains("\"a\""));
    }

    proptest::proptest! {
        /// The scanner never panics, and finds no fault in valid JSON.
        #[test]
        fn scanner_agrees_with_the_parser(text in "[{}\\[\\]:,\"'a1 \n\\\\/é”tru.-]{0,16}") {
            let fault = Scanner::new(&text).find_fault();
            if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
                proptest::prop_assert!(fault.is_none(), "{text:?} {fault:?}");
            }
        }
    }
}
