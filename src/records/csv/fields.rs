//! Finds the fields of one record as they are in the file, with their quotes.

use std::ops::Range;

use super::dialect::Dialect;
use crate::manifest::Quoting;

/// The number of bytes at the start of a too long record that are kept for the error file.
pub const KEPT_START: usize = 64 * 1024;

/// The positions of a record's fields, including their quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawFields {
    /// The positions of all fields. If the quoting of a field is broken, the list ends before that
    /// field.
    pub fields: Vec<Range<usize>>,
    /// Whether the quoting of at least one field is broken.
    pub is_broken: bool,
}

impl RawFields {
    pub fn of(record: &[u8], dialect: Dialect) -> Self {
        let mut fields = Vec::new();
        let mut start = 0;
        loop {
            let Some(end) = end_of_field(record, start, dialect) else {
                return Self { fields, is_broken: true };
            };
            fields.push(start..end);
            if end == record.len() {
                return Self { fields, is_broken: false };
            }
            start = end + 1;
        }
    }
}

/// Returns the end of the field that begins at `start`. Returns `None` if the quoting of the field
/// is broken.
fn end_of_field(record: &[u8], start: usize, dialect: Dialect) -> Option<usize> {
    if dialect.quoting != Quoting::None && record.get(start) == Some(&b'"') {
        let (close, _) = dialect.closing_quote(record, start);
        let next = record.get(close + 1);
        let is_closed = close < record.len() && next.is_none_or(|next| *next == dialect.delimiter);
        return is_closed.then_some(close + 1);
    }
    let length = memchr::memchr(dialect.delimiter, &record[start..]);
    let end = length.map_or(record.len(), |length| start + length);
    (!dialect.opens_after_space(&record[start..end])).then_some(end)
}

/// Returns the complete fields in the first [`KEPT_START`] bytes of a record over `max-record`, but
/// at most `most` fields; `None` if there are no complete fields. The last field of `start` is
/// never returned, because it may be incomplete.
pub fn first_fields(start: &[u8], dialect: Dialect, most: usize) -> Option<&[u8]> {
    let start = &start[..start.len().min(KEPT_START)];
    let RawFields { mut fields, is_broken } = RawFields::of(start, dialect);
    if !is_broken {
        fields.pop();
    }
    fields.truncate(most);
    fields.last().map(|last| &start[..last.end])
}

/// Returns `line` without its last field and the delimiter before that field, if the field is
/// quoted; otherwise returns `line` unchanged. The field is searched from the end of the line,
/// because the quoting before it can be broken.
pub fn without_quoted_end(line: &[u8], dialect: Dialect) -> &[u8] {
    let Some(mut inside) = line.strip_suffix(b"\"") else { return line };
    while let Some(quote) = memchr::memrchr(b'"', inside) {
        let before = &inside[..quote];
        let slashes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
        if dialect.quoting == Quoting::Backslash && slashes % 2 == 1 {
            inside = before;
        } else if let Some(before) = before.strip_suffix(b"\"") {
            inside = before;
        } else {
            return before.strip_suffix(&[dialect.delimiter]).unwrap_or(line);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMA: Dialect = Dialect { delimiter: b',', quoting: Quoting::Doubled };

    fn fields(record: &str, dialect: Dialect) -> (Vec<&str>, bool) {
        let RawFields { fields, is_broken } = RawFields::of(record.as_bytes(), dialect);
        (fields.into_iter().map(|field| &record[field]).collect(), is_broken)
    }

    #[test]
    fn raw_fields_keep_their_quotes() {
        assert_eq!(fields("\"a,\"\"b\",,c\"d", COMMA), (vec!["\"a,\"\"b\"", "", "c\"d"], false));
        assert_eq!(fields("", COMMA), (vec![""], false), "one empty field");
        let backslash = Dialect { quoting: Quoting::Backslash, ..COMMA };
        assert_eq!(fields("\"a\\\",b\",c", backslash), (vec!["\"a\\\",b\"", "c"], false));
        let none = Dialect { quoting: Quoting::None, ..COMMA };
        assert_eq!(fields("\"a,b\", \"c", none), (vec!["\"a", "b\"", " \"c"], false));
    }

    #[test]
    fn fields_end_where_the_quoting_is_broken() {
        for record in ["a,\"b\"c,d", "a,\"b", "a, \"b, c\",d"] {
            assert_eq!(fields(record, COMMA), (vec!["a"], true), "{record}");
        }
        assert_eq!(fields("a, \"b\",c", COMMA), (vec!["a", " \"b\"", "c"], false));
    }

    #[test]
    fn first_fields_never_include_an_incomplete_field() {
        for (start, most, kept) in [
            ("a,b,c", 2, Some("a,b")),
            ("a,b,c", 9, Some("a,b")),
            ("a,b,c", 1, Some("a")),
            ("a,b,c", 0, None),
            (",b,c", 1, Some("")),
            ("a", 1, None),
            ("a,\"b,", 2, Some("a")),
            ("\"b,", 2, None),
        ] {
            let found = first_fields(start.as_bytes(), COMMA, most);
            assert_eq!(found, kept.map(str::as_bytes), "{start} {most}");
        }
        let long = format!("a,{},b", "x".repeat(KEPT_START));
        assert_eq!(first_fields(long.as_bytes(), COMMA, 2), Some(&b"a"[..]));
    }

    #[test]
    fn a_quoted_field_at_the_end_is_removed() {
        for (line, rest) in [
            ("a,\"b,\"Text \"\"x\"\", y\"", "a,\"b"),
            ("a\"", "a\""),
            ("a,b", "a,b"),
            ("\"a\"", "\"a\""),
            (",\"\"", ""),
            ("\"\"\"", "\"\"\""),
        ] {
            let found = without_quoted_end(line.as_bytes(), COMMA);
            assert_eq!(found, rest.as_bytes(), "{line}");
        }
        let backslash = Dialect { quoting: Quoting::Backslash, ..COMMA };
        assert_eq!(without_quoted_end(b"a,\"b,\"x \\\", y\\\\\"", backslash), b"a,\"b");
    }
}
