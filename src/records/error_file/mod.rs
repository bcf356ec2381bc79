//! Formats the error files that partners get.
//!
//! `<stem>.errors.csv` has the header and every rejected record unchanged, and one more column at
//! the end with the reasons.
//!
//! After the partner has corrected the file, it can be uploaded with the same manifest. It has the
//! delimiter and the `sep=` line of the data file. It has a byte order mark for UTF-8 if the
//! manifest or the data file had another encoding. The descriptions of an earlier error file are
//! replaced, so each record has exactly one description. A record with a wrong number of fields has
//! a wrong number of fields in the error file too.

pub mod reason_cache;

use self::reason_cache::ReasonCache;
use super::csv::dialect::Dialect;
use super::csv::fields::RawFields;
use super::header::columns::FAILURE_DESCRIPTION;
use super::input::wide_delimiter::exchanged;
use super::sink::{FileStart, RejectedRecord};
use crate::manifest::Quoting;

/// Formats the content of an error file in memory.
#[derive(Clone, Debug)]
pub struct ErrorFile {
    dialect: Dialect,
    wide_delimiter: Option<char>,
    line_end: &'static str,
    quote_formulas: bool,
}

impl ErrorFile {
    /// Creates the formatter for a data file that begins with `start`.
    ///
    /// With `quote_formulas`, a `'` is added before each cell that a spreadsheet would run as a
    /// formula.
    pub fn new(start: &FileStart, quote_formulas: bool) -> Self {
        let FileStart { dialect, wide_delimiter, line_end, .. } = *start;
        Self { dialect, wide_delimiter, line_end, quote_formulas }
    }

    /// Returns the start of the error file. This is the header line, and before it the byte order
    /// mark and the `sep=` line if the file needs them.
    pub fn header(&self, start: &FileStart) -> Vec<u8> {
        let mut line = Vec::new();
        if start.needs_mark {
            line.extend_from_slice(b"\xEF\xBB\xBF");
        }
        self.push_original(&start.separator_line, &mut line);
        self.original_fields(&start.header, start.description, &mut line);
        push_field(FAILURE_DESCRIPTION, self.dialect, &mut line);
        line.extend_from_slice(self.line_end.as_bytes());
        line
    }

    /// Appends a rejected record to `out`. The reasons of the record follow in the last field,
    /// joined by `; `.
    pub fn push(&self, record: &RejectedRecord<'_>, cache: &mut ReasonCache, out: &mut Vec<u8>) {
        if let Some(raw) = record.raw {
            self.original_fields(raw, record.description, out);
        }
        if record.has_empty_end {
            self.push_original(&[self.dialect.delimiter], out);
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

    /// Appends the fields of a record, separated by the delimiter of the data file. Leaves out the
    /// field with the index `dropped`.
    fn original_fields(&self, raw: &[u8], dropped: Option<usize>, out: &mut Vec<u8>) {
        if self.wide_delimiter.is_none() {
            return self.fields(raw, dropped, out);
        }
        let mut fields = Vec::with_capacity(raw.len() + 1);
        self.fields(raw, dropped, &mut fields);
        self.push_original(&fields, out);
    }

    /// Appends a text that the lexer has read, as the data file has it.
    fn push_original(&self, text: &[u8], out: &mut Vec<u8>) {
        match self.wide_delimiter {
            Some(delimiter) => out.extend_from_slice(&exchanged(delimiter, text)),
            None => out.extend_from_slice(text),
        }
    }

    /// Appends the fields of a record, each followed by a delimiter. Leaves out the field with the
    /// index `dropped`.
    fn fields(&self, raw: &[u8], dropped: Option<usize>, out: &mut Vec<u8>) {
        if dropped.is_none() && !self.quote_formulas {
            out.extend_from_slice(raw);
            out.push(self.dialect.delimiter);
            return;
        }
        let RawFields { fields, is_broken } = RawFields::of(raw, self.dialect);
        if is_broken {
            for part in raw.split(|byte| *byte == self.dialect.delimiter) {
                self.field(part, out);
                out.push(self.dialect.delimiter);
            }
            return;
        }
        for (_, field) in fields.into_iter().enumerate().filter(|(at, _)| Some(*at) != dropped) {
            self.field(&raw[field], out);
            out.push(self.dialect.delimiter);
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

/// Appends `text` as one field of the error file. `text` has no control characters.
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
    out.extend(text.bytes().map(|byte| dialect.written(byte)));
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
            separator_line: Vec::new(),
            header: names.as_bytes().to_vec(),
            description: names.split(',').position(|name| name == FAILURE_DESCRIPTION),
            dialect: Dialect { delimiter: b',', quoting: Quoting::Doubled },
            wide_delimiter: None,
            line_end: "\n",
            needs_mark: false,
        }
    }

    fn rejected(raw: Option<&[u8]>, description: Option<usize>) -> RejectedRecord<'_> {
        let rule = &rules::profile::PHONE;
        let reason = Rejection {
            text: rule.text(),
            message: rule.text().into(),
            line: 2,
            column: None,
            value: Some("a\"b".into()),
            help: None,
        };
        RejectedRecord { line: 2, raw, description, has_empty_end: false, reasons: vec![reason] }
    }

    fn write(start: &FileStart, raw: &[u8], quote_formulas: bool) -> String {
        write_record(start, &rejected(Some(raw), start.description), quote_formulas)
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
    fn records_are_unchanged_and_reasons_are_quoted() {
        assert_eq!(
            write(&start("a,b"), b"\"x\"\"\ny\",+49 1", false),
            "a,b,\"Failure Description\"\n\"x\"\"\ny\",+49 1,\"Phone number is not valid - value a\"\"b\"\n"
        );
    }

    #[test]
    fn an_earlier_failure_description_is_replaced() {
        assert_eq!(
            write(&start("a,Failure Description,b"), b"1,\"old, one\",2", false),
            "a,b,\"Failure Description\"\n1,2,\"Phone number is not valid - value a\"\"b\"\n"
        );
    }

    #[test]
    fn error_files_keep_marks_and_line_ends() {
        let separator_line = b"sep=,\r\n".to_vec();
        let start = FileStart { needs_mark: true, line_end: "\r\n", separator_line, ..start("a") };
        let file = write(&start, "é".as_bytes(), false);
        assert!(file.starts_with("\u{feff}sep=,\r\na,\"Failure Description\"\r\né,"), "{file:?}");
    }

    #[test]
    fn a_record_without_bytes_has_only_reasons() {
        let file = write_record(&start("a,b,c"), &rejected(None, None), false);
        assert!(file.contains("\n\"Phone"), "{file:?}");
    }

    #[test]
    fn formulas_of_broken_lines_are_quoted() {
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
            let record = rejected(Some(b"1"), None);
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
        assert_eq!(
            file(b' ', Quoting::None),
            "a Failure_Description\n1 Phone_number_is_not_valid_-_value_a\"b,_x,_y\\\n"
        );
    }

    #[test]
    fn formulas_are_quoted_if_configured() {
        let file = write(&start("a,b,c,d"), b"=1+1,\"@x,y\",+49,ok-1", true);
        assert!(file.contains("\n'=1+1,\"'@x,y\",'+49,ok-1,"), "{file:?}");
    }

    #[test]
    fn each_reason_becomes_one_json_line() {
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
        let record =
            RejectedRecord { line: 7, raw: None, description: None, has_empty_end: false, reasons };
        push_json_lines(&record, &mut ReasonCache::default(), &mut text);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "{\"line\":7,\"column\":\"c\",\"value\":\"a\\nb\",\"message\":\"No\"}\n\
             {\"line\":7,\"column\":null,\"value\":null,\"message\":\"No\",\"help\":\"h\"}\n"
        );
    }
}
