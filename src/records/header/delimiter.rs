//! Finds the delimiter that a data file seems to have, from the lines at its beginning.

use crate::records::csv::dialect::Dialect;
use crate::records::csv::lexer::lex;

/// The maximum number of bytes that [`likely_delimiter`] examines.
const SAMPLE: usize = 64 * 1024;
/// The maximum number of records after the header that [`likely_delimiter`] examines.
const SAMPLE_RECORDS: usize = 20;

/// The delimiters that [`likely_delimiter`] can recognise.
const CANDIDATES: [u8; 6] = *b",;\t|\x01\x1F";

/// The first line of a data file if it declares the delimiter, such as `sep=;`. Spreadsheets write
/// such lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeparatorLine {
    pub delimiter: u8,
    /// The length of the `sep=` line in bytes, with its line end.
    pub length: usize,
}

/// Returns the `sep=` line at the start of `text`; `None` if `text` does not begin with such a
/// line.
pub fn separator_line(text: &[u8]) -> Option<SeparatorLine> {
    let end = memchr::memchr2(b'\n', b'\r', text).unwrap_or(text.len());
    let line_end = if text[end..].starts_with(b"\r\n") { 2 } else { 1 };
    let line = &text[..end];
    let unquoted = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\""));
    let (name, value) = unquoted.unwrap_or(line).split_at_checked(4)?;
    let delimiter = *value.first()?;
    // The delimiter may be repeated in the `sep=` line, because a spreadsheet fills up all lines
    // with delimiters.
    let valid = name.eq_ignore_ascii_case(b"sep=")
        && delimiter.is_ascii()
        && !delimiter.is_ascii_alphanumeric()
        && !matches!(delimiter, b'"' | 0)
        && value.iter().all(|byte| *byte == delimiter);
    valid.then_some(SeparatorLine { delimiter, length: (end + line_end).min(text.len()) })
}

/// Returns the delimiter that a file seems to have instead of the delimiter of `dialect`. `text`
/// begins with the header. The header must not contain the delimiter of `dialect`, and must contain
/// another delimiter as often as most records.
pub fn likely_delimiter(text: &[u8], dialect: Dialect) -> Option<u8> {
    let sample = &text[..text.len().min(SAMPLE)];
    let fields = |delimiter| -> Vec<u32> {
        let mut records = lex(sample, Dialect { delimiter, ..dialect }, 0).records;
        if sample.len() < text.len() {
            records.pop(); // the last record may be incomplete
        }
        records.iter().take(1 + SAMPLE_RECORDS).map(|record| record.fields).collect()
    };
    // If `dialect` has the wrong delimiter, the quoting of the header can seem broken. The header
    // then has no fields.
    let header = sample.split(|byte| *byte == b'\n').next().unwrap_or_default();
    match fields(dialect.delimiter).first() {
        Some(1) => {}
        Some(0) if !header.contains(&dialect.delimiter) => {}
        _ => return None,
    }
    let header_fields = |candidate: &u8| {
        let fields = fields(*candidate);
        let (header, records) = fields.split_first().filter(|(header, _)| **header > 1)?;
        // Lines whose quoting is broken are ignored. They have no fields.
        let whole = records.iter().filter(|fields| **fields > 0);
        let alike = whole.clone().filter(|fields| *fields == header).count();
        (alike * 2 >= whole.count()).then_some((*header, *candidate))
    };
    let others = CANDIDATES.iter().filter(|candidate| **candidate != dialect.delimiter);
    let (_, found) = others.filter_map(header_fields).max_by_key(|(fields, _)| *fields)?;
    Some(found)
}

/// Returns the finding that a data file seems to have the delimiter `likely`. `separator_line` is
/// the file's `sep=` line, or empty.
pub fn delimiter_finding(likely: u8, separator_line: &[u8]) -> String {
    let shown = match likely {
        b'\t' => "\\t".to_owned(),
        0..=b'\x1F' => format!("\\u{likely:04x}"),
        _ => char::from(likely).to_string(),
    };
    if !separator_line.is_empty() {
        return format!(
            "the header seems separated by '{shown}': correct or remove the sep= line \
             (line 1)"
        );
    }
    format!("the header seems separated by '{shown}': set \"delimiter\": \"{shown}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Quoting;

    #[test]
    fn a_separator_line_declares_the_delimiter() {
        for (text, delimiter, length) in [
            ("sep=;\r\na;b\r\n", b';', 7),
            ("SEP=,\na,b\n", b',', 6),
            ("sep=\t\ra\tb\r", b'\t', 6),
            ("\"sep=|\"\na|b\n", b'|', 8),
            ("sep=;;;\na;b;c\n", b';', 8),
            ("sep=;", b';', 5),
        ] {
            let line = SeparatorLine { delimiter, length };
            assert_eq!(separator_line(text.as_bytes()), Some(line), "{text:?}");
        }
        for text in ["", "sep=\na", "sep=a\n", "sep=;,\n", "sep,a\n", "sep=\"\n", "\nsep=;\n"] {
            assert_eq!(separator_line(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_wrong_delimiter_is_recognised() {
        let dialect = |delimiter| Dialect { delimiter, quoting: Quoting::Doubled };
        let likely = |text: &str| likely_delimiter(text.as_bytes(), dialect(b','));
        assert_eq!(likely("identity;Name;Price\r\nj;Ann;1,5\r\n"), Some(b';'));
        assert_eq!(likely("identity\tName\nj\tAnn, B\nk\tBob\n"), Some(b'\t'));
        assert_eq!(likely("identity|Name\nj|\"A|B\"\nk\n"), Some(b'|'));
        assert_eq!(likely("identity\x01Name\nj\x01Ann\n"), Some(1));
        assert_eq!(likely("identity;Name\n"), Some(b';'), "a header alone");
        assert_eq!(likely("identity;Name\nj;\"5\nk;\"6\nl;7\n"), Some(b';'), "broken quoting");
        assert_eq!(likely_delimiter(b"identity,Name\nj,Ann\n", dialect(b';')), Some(b','));
        let unquoted = Dialect { quoting: Quoting::None, ..dialect(b',') };
        assert_eq!(likely_delimiter(b"identity;Name\nj;\"Ann\n", unquoted), Some(b';'));
        for text in ["", "identity\nj;1\n", "a;b\nj\nk\nl;1\n", "a;b,c\n1;2,3\n"] {
            assert_eq!(likely(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_delimiter_finding_uses_json_notation() {
        for (likely, shown) in [(b';', ";"), (b'\t', "\\t"), (1, "\\u0001")] {
            let expected =
                format!("the header seems separated by '{shown}': set \"delimiter\": \"{shown}\"");
            assert_eq!(delimiter_finding(likely, b""), expected);
        }
    }
}
