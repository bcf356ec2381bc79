//! [`RULES`]: the list of all rules for records.

use super::rejection::Rule;
use super::{date, event, id, profile, property, record, timestamp, value};

/// All rules, in the order of docs/rules.md.
pub static RULES: [&Rule; 27] = [
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

/// Returns what to fix in a record that was rejected with `text`, a rule's fixed text.
pub fn advice(text: &str) -> Option<&'static str> {
    RULES.iter().find(|rule| rule.text() == text).map(|rule| rule.advice())
}

/// Returns whether `rule` is in the list.
pub fn contains(rule: &'static Rule) -> bool {
    RULES.iter().any(|listed| std::ptr::eq(*listed, rule))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rules_have_different_texts() {
        let texts: BTreeSet<_> = RULES.iter().map(|rule| rule.text()).collect();
        assert_eq!(texts.len(), RULES.len());
    }

    #[test]
    fn advice_is_a_sentence_that_fits_a_line() {
        for rule in RULES {
            let text = rule.advice();
            assert!(text.ends_with('.') && text.len() <= 90, "{text}");
            assert_eq!(advice(rule.text()), Some(text));
        }
        assert_eq!(advice("anything else"), None);
    }
}
