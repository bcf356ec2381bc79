//! [`Rule`]: a rule for records. [`Rejection`]: a reason why a record was rejected.
//!
//! While a block is checked, a broken rule is a [`BrokenRule`] of a few bytes without allocation. It
//! is turned into text only for the sink.

use std::borrow::Cow;
use std::fmt;

use crate::config::Limits;
use crate::manifest::{DateFormat, Quoting};
use crate::records::csv::lexer::BrokenQuoting;
use crate::sanitize::excerpt;

/// A rule for records: its fixed text, its advice, and functions for the details of one case.
///
/// Each rule is a `static` beside its check, in a file of `rules`.
#[derive(Debug)]
pub struct Rule {
    text: &'static str,
    advice: &'static str,
    limit: fn(&Limits) -> Detail,
    numbers: fn(&RuleCase<'_>) -> Detail,
    help: fn(&RuleCase<'_>) -> Detail,
}

/// A rule's text about one case, if it has one.
pub type Detail = Option<Cow<'static, str>>;

/// A case in which a rule was broken.
#[derive(Clone, Copy, Debug)]
pub struct RuleCase<'a> {
    /// The cell, if the rule is about one.
    pub value: Option<&'a str>,
    /// Fields of the record.
    pub fields: u64,
    /// Fields of the header.
    pub width: u64,
    /// Length of the record without its line end.
    pub bytes: u64,
    /// How the file's cells can be quoted.
    pub quoting: Quoting,
    /// How its quoting is broken.
    pub broken: Option<BrokenQuoting>,
    pub limits: &'a Limits,
    /// The format of the cell's column, if that is a DATE with one.
    pub format: Option<DateFormat>,
}

impl Rule {
    pub const fn new(text: &'static str, advice: &'static str) -> Self {
        Self { text, advice, limit: |_| None, numbers: |_| None, help: |_| None }
    }

    /// Sets the function for the text with the limit in force, where the fixed text has the default.
    pub const fn with_limit(mut self, limit: fn(&Limits) -> Detail) -> Self {
        self.limit = limit;
        self
    }

    /// Sets the function for a message with the case's numbers, where it differs from the fixed
    /// text.
    pub const fn with_numbers(mut self, numbers: fn(&RuleCase<'_>) -> Detail) -> Self {
        self.numbers = numbers;
        self
    }

    /// Sets the function for a hint.
    pub const fn with_help(mut self, help: fn(&RuleCase<'_>) -> Detail) -> Self {
        self.help = help;
        self
    }

    /// Returns the fixed text, the same for every record that breaks the rule.
    pub fn text(&self) -> &'static str {
        self.text
    }

    /// Returns the text for reports: the fixed text, with the limit in force if it names one.
    pub fn text_under(&self, limits: &Limits) -> Cow<'static, str> {
        (self.limit)(limits).unwrap_or(Cow::Borrowed(self.text))
    }

    /// Returns what follows this rule's text at the start of `description`, with any numbers in it;
    /// `None` if it begins otherwise. `written` returns a byte of the text as the description has it.
    pub fn after_text<'d>(
        &self,
        description: &'d [u8],
        written: impl Fn(u8) -> u8,
    ) -> Option<&'d [u8]> {
        let after = |rest: &'d [u8], word: &str| {
            let (start, rest) = rest.split_at_checked(word.len())?;
            start.iter().copied().eq(word.bytes().map(&written)).then_some(rest)
        };
        let mut rest = description;
        for (n, word) in self.text.split(' ').enumerate() {
            if n > 0 {
                rest = after(rest, " ")?;
            }
            let is_number = matches!(word, "N" | "M") || word.bytes().all(|b| b.is_ascii_digit());
            rest = if is_number { after_digits(rest)? } else { after(rest, word)? };
        }
        Some(rest)
    }

    /// Returns what a partner should do about it.
    pub fn advice(&self) -> &'static str {
        self.advice
    }

    pub fn reject<'a>(
        &self,
        line: u64,
        column: Option<&'a str>,
        case: &RuleCase<'a>,
    ) -> Rejection<'a> {
        Rejection {
            text: self.text,
            message: (self.numbers)(case).unwrap_or_else(|| self.text_under(case.limits)),
            line,
            column: column.map(excerpt),
            value: case.value.map(excerpt),
            help: (self.help)(case),
        }
    }
}

/// Returns what follows a number.
fn after_digits(text: &[u8]) -> Option<&[u8]> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0).then(|| &text[digits..])
}

/// A broken rule, found in a block.
#[derive(Clone, Copy, Debug)]
pub struct BrokenRule {
    pub rule: &'static Rule,
    /// The column, if the rule is about one.
    pub column: Option<u32>,
}

/// One reason why a record was rejected. It borrows its texts, because a file can have millions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection<'a> {
    /// The rule's fixed text, by which rejections are counted.
    pub text: &'static str,
    /// The fixed text, with the case's numbers if it has any.
    pub message: Cow<'static, str>,
    /// The record's line in the data file; the header is line 1.
    pub line: u64,
    /// The column's header, cut at 64 characters.
    pub column: Option<Cow<'a, str>>,
    /// The cell, cut at 64 characters, with unprintable characters escaped.
    pub value: Option<Cow<'a, str>>,
    /// The hint.
    pub help: Option<Cow<'static, str>>,
}

impl Rejection<'_> {
    /// Writes the part before the value of `<text> - column <c>, value <v>, <help>`, the format of
    /// `Failure Description`. Empty parts are left out.
    pub fn write_before_value(&self, f: &mut impl fmt::Write) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(column) = non_empty(self.column.as_ref()) {
            [" - column ", column].iter().try_for_each(|part| f.write_str(part))?;
        }
        match (non_empty(self.value.as_ref()), non_empty(self.column.as_ref())) {
            (None, _) => Ok(()),
            (Some(_), None) => f.write_str(" - value "),
            (Some(_), Some(_)) => f.write_str(", value "),
        }
    }

    /// Writes the part after the value.
    pub fn write_after_value(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let Some(help) = non_empty(self.help.as_ref()) else { return Ok(()) };
        let alone = non_empty(self.column.as_ref()).or(non_empty(self.value.as_ref())).is_none();
        f.write_str(if alone { " - " } else { ", " })?;
        f.write_str(help)
    }
}

/// Returns a part of a reason; `None` if it is empty.
fn non_empty<'a>(part: Option<&'a Cow<'_, str>>) -> Option<&'a str> {
    part.map(AsRef::as_ref).filter(|part| !part.is_empty())
}

impl fmt::Display for Rejection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_before_value(f)?;
        f.write_str(self.value.as_deref().unwrap_or(""))?;
        self.write_after_value(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejection(
        column: Option<&'static str>,
        value: Option<&'static str>,
        help: Option<&'static str>,
    ) -> Rejection<'static> {
        Rejection {
            text: "No",
            message: "No".into(),
            line: 2,
            column: column.map(Cow::from),
            value: value.map(Cow::from),
            help: help.map(Cow::from),
        }
    }

    #[test]
    fn details_follow_the_text_after_a_dash() {
        assert_eq!(rejection(None, None, None).to_string(), "No");
        assert_eq!(rejection(Some("c"), Some(""), None).to_string(), "No - column c");
        let all = rejection(Some("c"), Some("v"), Some("h"));
        assert_eq!(all.to_string(), "No - column c, value v, h");
        assert_eq!(rejection(None, Some("v"), Some("h")).to_string(), "No - value v, h");
        assert_eq!(rejection(None, None, Some("h")).to_string(), "No - h");
    }
}
