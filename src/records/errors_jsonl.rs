//! `<stem>.errors.jsonl`: one JSON object per line for every reason of every rejected record.

use super::error_file::reason_cache::Phrases;
use super::sink::RejectedRecord;

/// Appends the reasons of a rejected record to `out`.
pub fn push_json_lines(record: &RejectedRecord<'_>, phrases: &mut Phrases, out: &mut Vec<u8>) {
    for reason in &record.reasons {
        phrases.of(reason).push_json_line(reason.line, reason.value.as_deref(), out);
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
        let record = RejectedRecord { line: 7, raw: None, reasons };
        push_json_lines(&record, &mut Phrases::default(), &mut text);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "{\"line\":7,\"column\":\"c\",\"value\":\"a\\nb\",\"message\":\"No\"}\n\
             {\"line\":7,\"column\":null,\"value\":null,\"message\":\"No\",\"help\":\"h\"}\n"
        );
    }
}
