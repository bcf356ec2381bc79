//! [`Rule`] is a rule for records. [`Rejection`] is a reason why a record was rejected.
//!
//! While a block is checked, a broken rule is represented by a [`BrokenRule`], which has a few
//! bytes and needs no allocation. The text of a rejection is made later, when the rejection is
//! passed to the sink.

use std::borrow::Cow;
use std::fmt;

use crate::config::Limits;
use crate::manifest::{DateFormat, Quoting};
use crate::records::csv::lexer::BrokenQuoting;
use crate::sanitize::excerpt;

/// A rule for records. It has a fixed text, advice, and functions that make the details of a case.
///
/// Each rule is a `static` in a file of `rules`, next to the function that checks the rule.
#[derive(Debug)]
pub struct Rule {
    text: &'static str,
    advice: &'static str,
    limit: fn(&Limits) -> Detail,
    numbers: fn(&RuleCase<'_>) -> Detail,
    help: fn(&RuleCase<'_>) -> Detail,
}

/// A text that a rule makes for one case in which it was broken. The value is `None` if the rule
/// has no text for the case.
pub type Detail = Option<Cow<'static, str>>;

/// A case in which a record broke a rule.
#[derive(Clone, Copy, Debug)]
pub struct RuleCase<'a> {
    /// The text of the cell that broke the rule. `None` if the rule is not about a cell.
    pub value: Option<&'a str>,
    /// The number of fields that the record has.
    pub fields: u64,
    /// The number of fields that the header has.
    pub width: u64,
    /// The length of the record in bytes, without its line end.
    pub bytes: u64,
    /// The quoting of the data file.
    pub quoting: Quoting,
    /// The reason why the quoting of the record is broken. `None` if the quoting is valid.
    pub broken: Option<BrokenQuoting>,
    pub limits: &'a Limits,
    /// The format of the dates in the cell's column. `None` if the column has no format.
    pub format: Option<DateFormat>,
}

impl Rule {
    pub const fn new(text: &'static str, advice: &'static str) -> Self {
        Self { text, advice, limit: |_| None, numbers: |_| None, help: |_| None }
    }

    /// Sets a function that makes the text of the rule with the configured limit. The fixed text
    /// of the rule has the default limit.
    pub const fn with_limit(mut self, limit: fn(&Limits) -> Detail) -> Self {
        self.limit = limit;
        self
    }

    /// Sets a function that makes a message with the numbers of a case. Such a message differs
    /// from the fixed text of the rule.
    pub const fn with_numbers(mut self, numbers: fn(&RuleCase<'_>) -> Detail) -> Self {
        self.numbers = numbers;
        self
    }

    /// Sets the function that makes a hint for a case.
    pub const fn with_help(mut self, help: fn(&RuleCase<'_>) -> Detail) -> Self {
        self.help = help;
        self
    }

    /// Returns the fixed text of the rule. It is the same for every record that breaks the rule.
    pub fn text(&self) -> &'static str {
        self.text
    }

    /// Returns the text of the rule for reports. This is the fixed text, in which the configured
    /// limit replaces the default limit.
    pub fn text_under(&self, limits: &Limits) -> Cow<'static, str> {
        (self.limit)(limits).unwrap_or(Cow::Borrowed(self.text))
    }

    /// Returns the part of `description` after the text of this rule. The numbers in the text may
    /// differ. Returns `None` if `description` does not begin with the text. `written` converts a
    /// byte of the text to the byte that replaces it in the error file.
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

    /// Returns the advice for a partner whose record breaks the rule.
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

/// Returns the part of `text` after the digits at its start. Returns `None` if `text` does not
/// begin with a digit.
fn after_digits(text: &[u8]) -> Option<&[u8]> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0).then(|| &text[digits..])
}

/// A broken rule and the place in a block where it was found.
#[derive(Clone, Copy, Debug)]
pub struct BrokenRule {
    pub rule: &'static Rule,
    /// The index of the column. `None` if the rule is not about a column.
    pub column: Option<u32>,
}

/// One reason why a record was rejected. The texts are borrowed, because a file can have millions
/// of rejections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection<'a> {
    /// The fixed text of the broken rule. Rejections are counted by this text.
    pub text: &'static str,
    /// The message of the rejection: the fixed text of the rule, with the numbers of the case if
    /// the text has numbers.
    pub message: Cow<'static, str>,
    /// The line number of the record in the data file; the header is line 1.
    pub line: u64,
    /// The name of the column in the header, shortened to 64 characters.
    pub column: Option<Cow<'a, str>>,
    /// The text of the cell, shortened to 64 characters. Unprintable characters are escaped.
    pub value: Option<Cow<'a, str>>,
    /// The hint for the partner about the case.
    pub help: Option<Cow<'static, str>>,
}

impl Rejection<'_> {
    /// Writes the part of a `Failure Description` before the value. The format is
    /// `<text> - column <c>, value <v>, <help>`. Empty parts are left out.
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

    /// Writes the part of a `Failure Description` after the value.
    pub fn write_after_value(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let Some(help) = non_empty(self.help.as_ref()) else { return Ok(()) };
        let alone = non_empty(self.column.as_ref()).or(non_empty(self.value.as_ref())).is_none();
        f.write_str(if alone { " - " } else { ", " })?;
        f.write_str(help)
    }
}

/// Returns a part of a reason. Returns `None` if the part is empty.
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
    fn rejection_details_follow_the_text_after_a_dash() {
        assert_eq!(rejection(None, None, None).to_string(), "No");
        assert_eq!(rejection(Some("c"), Some(""), None).to_string(), "No - column c");
        let all = rejection(Some("c"), Some("v"), Some("h"));
        assert_eq!(all.to_string(), "No - column c, value v, h");
        assert_eq!(rejection(None, Some("v"), Some("h")).to_string(), "No - value v, h");
        assert_eq!(rejection(None, None, Some("h")).to_string(), "No - h");
    }
}
