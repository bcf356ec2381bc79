//! The error files for partners.
//!
//! `<stem>.errors.csv`: the header and every rejected record unchanged, plus a last column with the
//! reasons.
//!
//! Once fixed, it can be uploaded with the same manifest: it has the data file's delimiter, and a
//! byte order mark for UTF-8 if the manifest or the data file had another encoding. A
//! `Failure Description` column of the data file is dropped, so there is always exactly one.

pub mod reason_cache;

use std::ops::Range;

use self::reason_cache::ReasonCache;
use super::csv::dialect::Dialect;
use super::csv::fields::{RawFields, without_quoted_end};
use super::header::columns::FAILURE_DESCRIPTION;
use super::rules::fold;
use super::sink::{FileStart, RejectedRecord};
use crate::manifest::Quoting;

/// Formats an error file in memory.
#[derive(Clone, Debug)]
pub struct ErrorFile {
    dialect: Dialect,
    line_end: &'static str,
    /// The number of columns in the header.
    width: usize,
    /// Columns of the data file that are dropped.
    dropped: Vec<usize>,
    quote_formulas: bool,
}

impl ErrorFile {
    /// Creates the formatter for a data file that begins with `start`.
    ///
    /// `quote_formulas` puts a `'` before cells that a spreadsheet would run as a formula.
    pub fn new(start: &FileStart, quote_formulas: bool) -> Self {
        let is_description = |name: &String| fold(name) == fold(FAILURE_DESCRIPTION);
        let names = start.names.iter().enumerate();
        let dropped = names.filter(|(_, name)| is_description(name)).map(|(at, _)| at).collect();
        Self {
            dialect: start.dialect,
            line_end: start.line_end,
            width: start.names.len(),
            dropped,
            quote_formulas,
        }
    }

    /// Returns the header line.
    pub fn header(&self, start: &FileStart) -> Vec<u8> {
        let mut line = Vec::new();
        if start.needs_mark {
            line.extend_from_slice(b"\xEF\xBB\xBF");
        }
        self.fields(&start.header, usize::MAX, &mut line);
        line.push(self.dialect.delimiter);
        push_field(FAILURE_DESCRIPTION, self.dialect, &mut line);
        line.extend_from_slice(self.line_end.as_bytes());
        line
    }

    /// Appends a rejected record to `out`, with its reasons joined by `; `.
    pub fn push(&self, record: &RejectedRecord<'_>, cache: &mut ReasonCache, out: &mut Vec<u8>) {
        // A record that is cut has fewer fields than the header here too.
        let columns = self.width.saturating_sub(self.dropped.len());
        let most = if record.is_cut { columns.saturating_sub(1) } else { usize::MAX };
        let has_fields = !record.is_cut || !record.raw.is_empty() && most > 0;
        if has_fields {
            self.fields(record.raw, most, out);
            out.push(self.dialect.delimiter);
        }
        if self.dialect.quoting == Quoting::Doubled {
            out.push(b'"');
            for (n, reason) in record.reasons.iter().enumerate() {
                if n > 0 {
                    out.extend_from_slice(b"; ");
                }
                cache.of(reason).push_quoted(reason.value.as_deref(), out);
            }
            out.push(b'"');
        } else {
            let reasons: Vec<_> = record.reasons.iter().map(ToString::to_string).collect();
            push_field(&reasons.join("; "), self.dialect, out);
        }
        out.extend_from_slice(self.line_end.as_bytes());
    }

    /// Appends the first `most` fields of `raw` that are not dropped.
    fn fields(&self, raw: &[u8], most: usize, out: &mut Vec<u8>) {
        if self.dropped.is_empty() && !self.quote_formulas {
            return out.extend_from_slice(raw);
        }
        let RawFields { fields, is_broken } = RawFields::of(raw, self.dialect);
        if is_broken {
            return self.broken_line(raw, out);
        }
        let fields = fields.into_iter().enumerate();
        let kept = fields.filter(|(at, _)| !self.dropped.contains(at)).map(|(_, field)| field);
        for (n, field) in kept.take(most).collect::<Vec<Range<usize>>>().into_iter().enumerate() {
            if n > 0 {
                out.push(self.dialect.delimiter);
            }
            self.field(&raw[field], out);
        }
    }

    /// Appends a line whose quoting is broken, without a description at its end.
    fn broken_line(&self, line: &[u8], out: &mut Vec<u8>) {
        let is_last = self.dropped.contains(&self.width.saturating_sub(1));
        let line = if is_last { without_quoted_end(line, self.dialect) } else { line };
        for (n, part) in line.split(|byte| *byte == self.dialect.delimiter).enumerate() {
            if n > 0 {
                out.push(self.dialect.delimiter);
            }
            self.field(part, out);
        }
    }

    fn field(&self, field: &[u8], out: &mut Vec<u8>) {
        let text = field.strip_prefix(b"\"").unwrap_or(field);
        let runs = matches!(text, [b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r', ..]);
        if !(self.quote_formulas && runs) {
            return out.extend_from_slice(field);
        }
        out.extend_from_slice(if text.len() < field.len() { b"\"'" } else { b"'" });
        out.extend_from_slice(text);
    }
}

/// Appends `text`, which has no control characters, as one field.
fn push_field(text: &str, dialect: Dialect, out: &mut Vec<u8>) {
    let Quoting::None = dialect.quoting else {
        out.push(b'"');
        for byte in text.bytes() {
            match (byte, dialect.quoting) {
                (b'"' | b'\\', Quoting::Backslash) => out.push(b'\\'),
                (b'"', _) => out.push(b'"'),
                _ => {}
            }
            out.push(byte);
        }
        return out.push(b'"');
    };
    let other = if dialect.delimiter == b',' { b';' } else { b' ' };
    out.extend(text.bytes().map(|byte| if byte == dialect.delimiter { other } else { byte }));
}

/// Appends the reasons of a rejected record to `out` as lines of `<stem>.errors.jsonl`.
pub fn push_json_lines(record: &RejectedRecord<'_>, cache: &mut ReasonCache, out: &mut Vec<u8>) {
    for reason in &record.reasons {
        cache.of(reason).push_json_line(reason.line, reason.value.as_deref(), out);
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::records::header::schema::Schema;
    use crate::records::{Rejection, rules};

    fn start(names: &str) -> FileStart {
        FileStart {
            schema: Schema::Profile([].into()),
            header: names.as_bytes().to_vec(),
            names: names.split(',').map(str::to_owned).collect(),
            dialect: Dialect { delimiter: b',', quoting: Quoting::Doubled },
            line_end: "\n",
            needs_mark: false,
        }
    }

    fn rejected(raw: &[u8]) -> RejectedRecord<'_> {
        let rule = &rules::profile::PHONE;
        let reason = Rejection {
            text: rule.text(),
            message: rule.text().into(),
            line: 2,
            column: None,
            value: Some("a\"b".into()),
            help: None,
        };
        RejectedRecord { line: 2, raw, is_cut: false, reasons: vec![reason] }
    }

    fn write(start: &FileStart, raw: &[u8], quote_formulas: bool) -> String {
        write_record(start, &rejected(raw), quote_formulas)
    }

    fn write_record(
        start: &FileStart,
        record: &RejectedRecord<'_>,
        quote_formulas: bool,
    ) -> String {
        let file = ErrorFile::new(start, quote_formulas);
        let mut text = file.header(start);
        file.push(record, &mut ReasonCache::default(), &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn keeps_every_byte_and_quotes_the_reason() {
        assert_eq!(
            write(&start("a,b"), b"\"x\"\"\ny\",+49 1", false),
            "a,b,\"Failure Description\"\n\"x\"\"\ny\",+49 1,\"Phone number is not valid - value a\"\"b\"\n"
        );
    }

    #[test]
    fn replaces_an_earlier_failure_description() {
        assert_eq!(
            write(&start("a,failure description,b"), b"1,\"old, one\",2", false),
            "a,b,\"Failure Description\"\n1,2,\"Phone number is not valid - value a\"\"b\"\n"
        );
    }

    #[test]
    fn writes_byte_order_mark_and_keeps_line_ends() {
        let start = FileStart { needs_mark: true, line_end: "\r\n", ..start("a") };
        let file = write(&start, "é".as_bytes(), false);
        assert!(file.starts_with("\u{feff}a,\"Failure Description\"\r\né,"), "{file:?}");
    }

    #[test]
    fn a_cut_record_has_fewer_fields() {
        let write = |names, raw: &'static str| {
            let record = RejectedRecord { is_cut: true, ..rejected(raw.as_bytes()) };
            let file = write_record(&start(names), &record, false);
            file.lines().nth(1).unwrap().split_once("\"Phone").unwrap().0.to_owned()
        };
        assert_eq!(write("a,b,c", "1,2"), "1,2,");
        assert_eq!(write("a,b,c", ""), "");
        assert_eq!(write("a", ""), "");
        assert_eq!(write("a,b,Failure Description", "1,2"), "1,");
        assert_eq!(write("Failure Description,a,b", "x,1"), "1,");
        assert_eq!(write("a,Failure Description", "1"), "");
    }

    #[test]
    fn broken_lines_lose_only_our_description() {
        let names = "a,b,Failure Description";
        let file = write(&start(names), b"1,\"x,\"Text after, \"\"y\"\"\"", false);
        assert!(file.contains("\n1,\"x,\"Phone"), "{file:?}");
        let file = write(&start(names), b"1,\"x\"y,z", false);
        assert!(file.contains("\n1,\"x\"y,z,\"Phone"), "{file:?}");
        let file = write(&start("a,b"), b"=1,\"x\"y,@z", true);
        assert!(file.contains("\n'=1,\"x\"y,'@z,\"Phone"), "{file:?}");
    }

    #[test]
    fn the_description_is_one_field_in_any_dialect() {
        let dialect = |delimiter, quoting| FileStart {
            dialect: Dialect { delimiter, quoting },
            ..start("a")
        };
        let file = |delimiter, quoting| {
            let record = rejected(b"1");
            let help = Some("x, y\\".into());
            let reason = Rejection { help, ..record.reasons[0].clone() };
            let record = RejectedRecord { reasons: vec![reason], ..record };
            write_record(&dialect(delimiter, quoting), &record, false)
        };
        assert_eq!(
            file(b',', Quoting::Backslash),
            "a,\"Failure Description\"\n\
             1,\"Phone number is not valid - value a\\\"b, x, y\\\\\"\n"
        );
        assert_eq!(
            file(b',', Quoting::None),
            "a,Failure Description\n1,Phone number is not valid - value a\"b; x; y\\\n"
        );
        assert_eq!(
            file(b'-', Quoting::None),
            "a-Failure Description\n1-Phone number is not valid   value a\"b, x, y\\\n"
        );
    }

    #[test]
    fn formulas_are_quoted_when_asked() {
        let file = write(&start("a,b,c,d"), b"=1+1,\"@x,y\",+49,ok-1", true);
        assert!(file.contains("\n'=1+1,\"'@x,y\",'+49,ok-1,"), "{file:?}");
    }

    #[test]
    fn writes_one_json_object_per_reason() {
        let reason = |column: Option<&'static str>, help: Option<&'static str>| Rejection {
            text: "No",
            message: "No".into(),
            line: 7,
            column: column.map(Cow::from),
            value: column.map(|_| "a\nb".into()),
            help: help.map(Cow::from),
        };
        let reasons = vec![reason(Some("c"), None), reason(None, Some("h"))];
        let mut text = Vec::new();
        let record = RejectedRecord { line: 7, raw: b"", is_cut: false, reasons };
        push_json_lines(&record, &mut ReasonCache::default(), &mut text);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "{\"line\":7,\"column\":\"c\",\"value\":\"a\\nb\",\"message\":\"No\"}\n\
             {\"line\":7,\"column\":null,\"value\":null,\"message\":\"No\",\"help\":\"h\"}\n"
        );
    }
}
