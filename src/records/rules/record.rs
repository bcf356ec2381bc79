//! The rules for the form of a record. They are checked before the rules for the record's cells.

use crate::manifest::Quoting;
use crate::records::csv::lexer::{BrokenQuoting, ESCAPE_ADVICE};
use crate::records::rules::rejection::{Detail, Rule, RuleCase};

pub static FIELD_COUNT: Rule = Rule::new(
    "Record has N fields, the header has M",
    "Give the record as many fields as the header; quote a cell that has the delimiter in it.",
)
.with_numbers(|case| {
    Some(format!("Record has {} fields, the header has {}", case.fields, case.width).into())
})
.with_help(count_hint);

pub static FIELD_TOO_LONG: Rule =
    Rule::new("Field is too long", "Shorten the cell, or close an open quote before the cell.")
        .with_help(|case| {
            Some(format!("at most {} bytes are allowed", case.limits.max_field.bytes()).into())
        });

pub static RECORD_TOO_LONG: Rule = Rule::new(
    "Record is too long",
    "Shorten the record, or close an open quote in the record.",
)
.with_help(|case| {
    let max = case.limits.max_record.bytes();
    let bytes = case.bytes;
    let text = format!(
        "the record has {bytes} bytes, at most {max} are allowed, the error file has only its \
                 first fields"
    );
    Some(text.into())
});

pub static TEXT_AFTER_QUOTE: Rule = Rule::new(
    "Text after a closing quote",
    "Write a quote inside a cell twice, or set escape or quote in the manifest.",
)
.with_help(|case| {
    Some(match case.broken {
        Some(BrokenQuoting::SpaceBeforeQuote) => {
            "remove the space between the delimiter and the opening quote".into()
        }
        _ => ESCAPE_ADVICE.into(),
    })
});

pub static INVALID_BYTES: Rule = Rule::new(
    "Invalid bytes for the encoding",
    "Save the file as UTF-8, or name its encoding in the manifest.",
)
.with_help(|_| Some("save the file as UTF-8, or name its encoding in the manifest".into()));

pub static NUL: Rule = Rule::new(
    "Value contains a NUL character",
    "Remove the NUL characters (U+0000) from the data.",
);

pub static REPEATED_HEADER: Rule = Rule::new(
    "The record repeats the header",
    "Remove the line: a file has one header, at its top.",
);

pub static ERROR_TEXT: Rule = Rule::new(
    "Text of an error file in another column",
    "Write the record's own cells, and remove the text of Failure Description from them.",
)
.with_help(|_| {
    Some("write the record's own value, because a tool moved Failure Description".into())
});

fn count_hint(case: &RuleCase<'_>) -> Detail {
    let hint = match (case.fields > case.width, case.quoting) {
        (true, Quoting::None) => "a file without quoting cannot have the delimiter inside a cell",
        (true, _) => "put quotes around a cell that has the delimiter in it",
        (false, _) => "write empty cells too",
    };
    Some(hint.into())
}
