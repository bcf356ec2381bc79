//! `<stem>.errors.jsonl`: one JSON object a line for every reason of every rejected record.

use std::io::{self, Write};

use serde::Serialize;

use super::sink::RejectedRecord;

/// Writes rejections for machines, a record at a time.
pub struct ErrorsJsonl<W> {
    out: W,
    /// The lines of the record in hand.
    lines: Vec<u8>,
}

#[derive(Serialize)]
struct Line<'a> {
    line: u64,
    column: Option<&'a str>,
    value: Option<&'a str>,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
}

impl<W: Write> ErrorsJsonl<W> {
    /// Begins an empty file.
    pub fn new(out: W) -> Self {
        Self { out, lines: Vec::new() }
    }

    /// Appends the reasons of a rejected record.
    ///
    /// # Errors
    /// Those of the output.
    pub fn write(&mut self, record: &RejectedRecord<'_>) -> io::Result<()> {
        for reason in &record.reasons {
            let line = Line {
                line: reason.line,
                column: reason.column.as_deref(),
                value: reason.value.as_deref(),
                message: &reason.message,
                help: reason.help.as_deref(),
            };
            serde_json::to_writer(&mut self.lines, &line)?;
            self.lines.push(b'\n');
        }
        self.out.write_all(&self.lines)?;
        self.lines.clear();
        Ok(())
    }

    /// Flushes, and gives the output back.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::records::Rejection;

    #[test]
    fn one_object_a_line_for_each_reason() {
        let reason = |column: Option<&'static str>, help: Option<&'static str>| Rejection {
            text: "No",
            message: "No".into(),
            line: 7,
            column: column.map(Cow::from),
            value: column.map(|_| "a\nb".into()),
            help: help.map(Cow::from),
        };
        let reasons = vec![reason(Some("c"), None), reason(None, Some("h"))];
        let mut file = ErrorsJsonl::new(Vec::new());
        file.write(&RejectedRecord { line: 7, raw: None, reasons }).unwrap();
        let text = String::from_utf8(file.finish().unwrap()).unwrap();
        assert_eq!(
            text,
            "{\"line\":7,\"column\":\"c\",\"value\":\"a\\nb\",\"message\":\"No\"}\n\
             {\"line\":7,\"column\":null,\"value\":null,\"message\":\"No\",\"help\":\"h\"}\n"
        );
    }
}
