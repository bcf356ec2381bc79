//! Advice for each fixed text of the import rules. Pure.
//!
//! `check` prints it, mails contain it, and docs/data-files.md lists it. A test fails for a rule
//! without advice.

use crate::report::FailureText;

/// Returns what to fix when a file as a whole was not imported.
pub fn on_failure(text: FailureText) -> &'static str {
    match text {
        FailureText::NoDataFile => {
            "The data file must be in the manifest's folder, named exactly as in fileName."
        }
        FailureText::Unreadable => {
            "Fix the data file: CSV with a header line, named .csv, .csv.gz or .csv.zst."
        }
        FailureText::Manifest => {
            "Fix the manifest, or the data file's header where the two do not fit."
        }
        FailureText::Infra | FailureText::Internal => "The fault is not in your files.",
    }
}

/// Returns what to fix in a record that was rejected with `text`, a rule's fixed text.
pub fn on_rejection(text: &str) -> Option<&'static str> {
    REJECTIONS.iter().find(|(known, _)| *known == text).map(|(_, advice)| *advice)
}

/// The fixed text and the advice of each rule, in the order of the import rules.
pub const REJECTIONS: &[(&str, &str)] = &[
    (
        "Atleast one of identity / fbId / gpId / objectId is mandatory under 1024 chars to \
         identify the user",
        "Give every record an id of its user; words such as null, 0 or n/a count as none.",
    ),
    (
        "Timestamp not in UNIX epoch format",
        "Write ts in seconds since 1970, 1 to 11 digits, or leave it empty.",
    ),
    (
        "Record has N fields, the header has M",
        "Give the record as many fields as the header; quote a cell that has the delimiter in it.",
    ),
    ("INTEGER value expected", "Write a whole number of 32 bits, or map the column as LONG."),
    ("LONG value expected", "Write a whole number of 64 bits, or map the column as STRING."),
    ("FLOAT value expected", "Write a number with a decimal point, such as 1234.5, and no unit."),
    ("BOOLEAN value expected", "Write true, false, 1, 0, Y or N."),
    (
        "DATE value expected",
        "Write a date in the column's format; name the format in the manifest: dd/MM/yyyy.",
    ),
    (
        "$D_ must be followed by an epoch",
        "Write $D_ and seconds since 1970, such as $D_1589274432.",
    ),
    (
        "Property value is longer than 512 characters",
        "Shorten the value, or leave the column out of the file.",
    ),
    ("Field is too long", "Shorten the cell, or close the quote before it that is never closed."),
    ("Record is too long", "Shorten the record, or close the quote in it that is never closed."),
    (
        "Invalid bytes for the encoding",
        "Save the file as UTF-8, or name its encoding in the manifest.",
    ),
    ("Event name is mandatory", "Write a name into the event's column."),
    (
        "Event name belongs to CleverTap restricted system events",
        "Choose another name: this one is the product's own.",
    ),
    ("Event name is longer than 512 characters", "Shorten the event's name."),
    (
        "Event name has a character that is not allowed",
        "Remove % > < ! | & . : ; $ ' \" \\ and control characters from the event's name.",
    ),
    (
        "Cannot have more than 100 event properties",
        "Fill fewer columns of the record, or make two events of it.",
    ),
    (
        "Charged items are not supported in file imports",
        "Leave Items empty for Charged events, or give the column another name.",
    ),
    (
        "Profile operation must be one of $add, $set, $remove, $delete",
        "Write one of the four, in lower case, or leave the cell empty, which means $set.",
    ),
    (
        "Profile operation $add or $remove is not allowed on this property",
        "Use $set or $delete: this property holds one value, no list.",
    ),
    (
        "Phone number is not valid",
        "Write + and the country code first, then the number: 5 to 15 digits in all.",
    ),
    ("Email is not valid", "Write one address, such as jane@example.com."),
    ("Gender is not valid", "Write M, F, O or U, or Male, Female, Other or Unknown."),
    ("Age is not valid", "Write a number from 0 to 150."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// Returns the fixed texts in the sources of the rules.
    fn texts_of_rules() -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/records/rules");
        let mut texts = BTreeSet::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let source = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            for rest in source.split("Rule::new(").skip(1) {
                let literal = rest.trim_start().strip_prefix('"').expect("a text follows");
                let (text, _) = literal.split_once('"').unwrap();
                let mut lines = text.split("\\\n");
                let first = lines.next().unwrap().to_owned();
                texts.insert(lines.fold(first, |text, line| text + line.trim_start()));
            }
        }
        texts
    }

    #[test]
    fn every_rule_has_advice_and_no_advice_is_without_its_rule() {
        let advised: BTreeSet<_> = REJECTIONS.iter().map(|(text, _)| (*text).to_owned()).collect();
        assert_eq!(advised.len(), REJECTIONS.len(), "a text is listed twice");
        let rules = texts_of_rules();
        assert!(rules.len() > 20, "the rules were not found: {rules:?}");
        assert_eq!(advised, rules);
    }

    #[test]
    fn advice_is_a_sentence_that_fits_a_line() {
        for (text, advice) in REJECTIONS {
            assert!(advice.ends_with('.') && advice.len() <= 90, "{advice}");
            assert_eq!(on_rejection(text), Some(*advice));
        }
        assert_eq!(on_rejection("anything else"), None);
    }
}
