//! `<stem>.errors.jsonl`: one JSON object a line for every reason of every rejected record.

use serde::Serialize;

use super::sink::RejectedRecord;

#[derive(Serialize)]
struct Line<'a> {
    line: u64,
    column: Option<&'a str>,
    value: Option<&'a str>,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
}

/// Appends the reasons of a rejected record to `out`.
pub fn push_json_lines(record: &RejectedRecord<'_>, out: &mut Vec<u8>) {
    for reason in &record.reasons {
        let line = Line {
            line: reason.line,
            column: reason.column.as_deref(),
            value: reason.value.as_deref(),
            message: &reason.message,
            help: reason.help.as_deref(),
        };
        serde_json::to_writer(&mut *out, &line).expect("texts and a number, into memory");
        out.push(b'\n');
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
        let mut text = Vec::new();
        push_json_lines(&RejectedRecord { line: 7, raw: None, reasons }, &mut text);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "{\"line\":7,\"column\":\"c\",\"value\":\"a\\nb\",\"message\":\"No\"}\n\
             {\"line\":7,\"column\":null,\"value\":null,\"message\":\"No\",\"help\":\"h\"}\n"
        );
    }
}
