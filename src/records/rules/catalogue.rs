//! [`RULES`] is the list of all rules for records.

use std::borrow::Cow;

use super::rejection::Rule;
use super::{date, event, id, profile, property, record, timestamp, value};
use crate::config::Limits;
use crate::records::csv::dialect::Dialect;

/// All rules for records, in the order of `docs/rules.md`.
pub static RULES: [&Rule; 29] = [
    &id::ID,
    &timestamp::TIMESTAMP,
    &record::FIELD_COUNT,
    &value::INTEGER,
    &value::LONG,
    &value::FLOAT,
    &value::BOOLEAN,
    &date::DATE,
    &property::DOLLAR_DATE,
    &property::TOO_LONG,
    &record::FIELD_TOO_LONG,
    &record::RECORD_TOO_LONG,
    &record::INVALID_BYTES,
    &record::TEXT_AFTER_QUOTE,
    &record::NUL,
    &record::REPEATED_HEADER,
    &record::ERROR_TEXT,
    &event::NAME_MISSING,
    &event::NAME_RESERVED,
    &event::NAME_TOO_LONG,
    &event::NAME_CHARACTER,
    &event::TOO_MANY_PROPERTIES,
    &event::CHARGED_ITEMS,
    &profile::OPERATION,
    &profile::NO_LIST,
    &profile::PHONE,
    &profile::EMAIL,
    &profile::GENDER,
    &profile::AGE,
];

/// Returns the advice for a rejection with the text `text`. `text` is the text of a rule, and may
/// contain a limit other than the default limit. Returns `None` if no rule has the text.
pub fn advice(text: &str) -> Option<&'static str> {
    let is_of = |rule: &&&Rule| {
        rule.text() == text
            || rule.after_text(text.as_bytes(), |byte| byte).is_some_and(<[u8]>::is_empty)
    };
    RULES.iter().find(is_of).map(|rule| rule.advice())
}

/// Returns the text `text` of a rule with the configured limit instead of the default limit.
pub fn text_under(text: &'static str, limits: &Limits) -> Cow<'static, str> {
    let rule = RULES.iter().find(|rule| rule.text() == text);
    rule.map_or(Cow::Borrowed(text), |rule| rule.text_under(limits))
}

/// The separators after a rule's text in a description. Details or another text follow. In a file
/// without quoting, two spaces can replace a separator that contains the delimiter.
const AFTER_TEXT: [&[u8]; 3] = [b" - ", b"; ", b"  "];

/// Returns whether a cell is a `Failure Description` of an error file: the text of a rule with any
/// limit, optionally followed by details or other texts. `dialect` is the dialect of the file.
pub fn is_description(cell: &[u8], dialect: Dialect) -> bool {
    // The first character of a text can be a space that replaces the delimiter.
    let forms = [cell.trim_ascii(), cell];
    forms
        .iter()
        .flat_map(|form| RULES.iter().map(move |rule| (form, rule)))
        .filter_map(|(form, rule)| rule.after_text(form, |byte| dialect.written(byte)))
        .any(|rest| rest.is_empty() || AFTER_TEXT.iter().any(|after| rest.starts_with(after)))
}

/// Returns whether `rule` is in [`RULES`].
pub fn contains(rule: &'static Rule) -> bool {
    RULES.iter().any(|listed| std::ptr::eq(*listed, rule))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::manifest::Quoting;

    #[test]
    fn rules_have_different_texts() {
        let texts: BTreeSet<_> = RULES.iter().map(|rule| rule.text()).collect();
        assert_eq!(texts.len(), RULES.len());
    }

    #[test]
    fn advice_has_at_most_90_characters() {
        for rule in RULES {
            let text = rule.advice();
            assert!(text.ends_with('.') && text.len() <= 90, "{text}");
            assert_eq!(advice(rule.text()), Some(text));
        }
        assert_eq!(advice("anything else"), None);
        let other = "Property value is longer than 10 characters";
        assert_eq!(advice(other), Some(property::TOO_LONG.advice()));
    }

    #[test]
    fn rule_texts_contain_the_configured_limits() {
        let limits =
            Limits { max_property_value: 10, max_event_properties: 2, ..Limits::default() };
        for (rule, text) in [
            (&property::TOO_LONG, "Property value is longer than 10 characters"),
            (&event::TOO_MANY_PROPERTIES, "Cannot have more than 2 event properties"),
            (&record::INVALID_BYTES, "Invalid bytes for the encoding"),
        ] {
            assert_eq!(text_under(rule.text(), &limits), text);
            assert_eq!(text_under(rule.text(), &Limits::default()), rule.text());
        }
    }

    const QUOTED: Dialect = Dialect { delimiter: b',', quoting: Quoting::Doubled };

    #[test]
    fn descriptions_without_quoting_are_recognised() {
        for delimiter in (1..128).map(char::from).filter(|c| !c.is_ascii_alphanumeric()) {
            if matches!(delimiter, '"' | '\r' | '\n' | ' ') {
                continue;
            }
            let dialect = Dialect { delimiter: delimiter as u8, quoting: Quoting::None };
            for rule in RULES {
                let text = rule.text().replace(" N ", " 12 ").replace(" M", " 3");
                for text in [text.clone(), format!("{text} - column a"), format!("{text}; more")] {
                    let cell: Vec<u8> = text.bytes().map(|byte| dialect.written(byte)).collect();
                    assert!(is_description(&cell, dialect), "{delimiter:?} {text}");
                }
            }
        }
    }

    #[test]
    fn quoted_descriptions_are_recognised() {
        for rule in RULES {
            let text = rule.text().replace(" N ", " 12 ").replace(" M", " 3");
            for cell in [text.clone(), format!(" {text} - column a"), format!("{text}; more")] {
                assert!(is_description(cell.as_bytes(), QUOTED), "{cell}");
            }
            assert!(!is_description(format!("{text}!").as_bytes(), QUOTED), "{text}");
            assert!(!is_description(format!("The {text}").as_bytes(), QUOTED), "{text}");
        }
        assert!(is_description(b"Property value is longer than 10 characters - column a", QUOTED));
        assert!(
            is_description(b"Event name is mandatory  DATE value expected", QUOTED),
            "no quoting"
        );
        for cell in ["", "Record has many fields", "a", "Age"] {
            assert!(!is_description(cell.as_bytes(), QUOTED), "{cell}");
        }
    }
}
