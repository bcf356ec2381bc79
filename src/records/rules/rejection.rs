//! [`Rule`]: a rule for records. [`Rejection`]: a reason why a record was rejected.
//!
//! While a block is checked, a broken rule is a [`Finding`] of a few bytes without allocation. It
//! is turned into text only for the sink.

use std::borrow::Cow;
use std::fmt;

use crate::sanitize::is_unprintable;

/// A rule for records: its fixed text, and functions for the details of one case.
///
/// Each rule is a `static` beside its check, in a file of `rules`.
#[derive(Debug)]
pub struct Rule {
    text: &'static str,
    numbers: fn(&Case<'_>) -> Told,
    help: fn(&Case<'_>) -> Told,
}

/// A rule's text about one case, if it has one.
pub type Told = Option<Cow<'static, str>>;

/// A case in which a rule was broken.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The cell, if the rule is about one.
    pub value: Option<&'a str>,
    /// Fields of the record.
    pub fields: u64,
    /// Fields of the header.
    pub width: u64,
    /// Length of the record without its line end.
    pub bytes: u64,
    pub limits: &'a crate::config::Limits,
}

impl Rule {
    pub const fn new(text: &'static str) -> Self {
        Self { text, numbers: |_| None, help: |_| None }
    }

    /// Sets the function for a message with the case's numbers, where it differs from the fixed
    /// text.
    pub const fn with_numbers(mut self, numbers: fn(&Case<'_>) -> Told) -> Self {
        self.numbers = numbers;
        self
    }

    /// Sets the function for a hint.
    pub const fn with_help(mut self, help: fn(&Case<'_>) -> Told) -> Self {
        self.help = help;
        self
    }

    /// Returns the fixed text, the same for every record that breaks the rule.
    pub fn text(&self) -> &'static str {
        self.text
    }

    pub fn reject<'a>(&self, line: u64, column: Option<&'a str>, case: &Case<'a>) -> Rejection<'a> {
        Rejection {
            text: self.text,
            message: (self.numbers)(case).unwrap_or(Cow::Borrowed(self.text)),
            line,
            column: column.map(shown),
            value: case.value.map(shown),
            help: (self.help)(case),
        }
    }
}

/// A broken rule, found in a block.
#[derive(Clone, Copy, Debug)]
pub struct Finding {
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
    /// The cell, cut at 64 characters, with unprintable characters replaced.
    pub value: Option<Cow<'a, str>>,
    /// The hint.
    pub help: Option<Cow<'static, str>>,
}

impl Rejection<'_> {
    /// Writes the part before the value of `<text> - column <c>, value <v>, <help>`, the format of
    /// `Failure Description`. Empty parts are left out.
    pub fn tell_before(&self, f: &mut impl fmt::Write) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(column) = told(self.column.as_ref()) {
            [" - column ", column].iter().try_for_each(|part| f.write_str(part))?;
        }
        match (told(self.value.as_ref()), told(self.column.as_ref())) {
            (None, _) => Ok(()),
            (Some(_), None) => f.write_str(" - value "),
            (Some(_), Some(_)) => f.write_str(", value "),
        }
    }

    /// Writes the part after the value.
    pub fn tell_after(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let Some(help) = told(self.help.as_ref()) else { return Ok(()) };
        let alone = told(self.column.as_ref()).or(told(self.value.as_ref())).is_none();
        f.write_str(if alone { " - " } else { ", " })?;
        f.write_str(help)
    }
}

/// Returns a part of a reason; `None` if it is empty.
fn told<'a>(part: Option<&'a Cow<'_, str>>) -> Option<&'a str> {
    part.map(AsRef::as_ref).filter(|part| !part.is_empty())
}

impl fmt::Display for Rejection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tell_before(f)?;
        f.write_str(self.value.as_deref().unwrap_or(""))?;
        self.tell_after(f)
    }
}

/// The characters of a partner's text that a message shows.
const SHOWN: usize = 64;

/// Returns a partner's text for a message: cut, with unprintable characters replaced.
pub fn shown(text: &str) -> Cow<'_, str> {
    if text.len() <= SHOWN && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let plain = |c: char| if is_unprintable(c) { char::REPLACEMENT_CHARACTER } else { c };
    let mut shown: String = text.chars().take(SHOWN).map(plain).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    Cow::Owned(shown)
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
    fn tells_what_there_is_after_a_dash() {
        assert_eq!(rejection(None, None, None).to_string(), "No");
        assert_eq!(rejection(Some("c"), Some(""), None).to_string(), "No - column c");
        let all = rejection(Some("c"), Some("v"), Some("h"));
        assert_eq!(all.to_string(), "No - column c, value v, h");
        assert_eq!(rejection(None, Some("v"), Some("h")).to_string(), "No - value v, h");
        assert_eq!(rejection(None, None, Some("h")).to_string(), "No - h");
    }

    #[test]
    fn shows_values_cut_and_harmless() {
        assert_eq!(shown("a\x1b[31m\n\u{202e}b"), "a\u{fffd}[31m\u{fffd}\u{fffd}b");
        assert_eq!(shown("a\u{2066}\u{200b}\u{e0041}b"), "a\u{fffd}\u{fffd}\u{fffd}b");
        assert_eq!(shown(&"é".repeat(65)), format!("{}…", "é".repeat(64)));
        assert_eq!(shown(&"é".repeat(64)), "é".repeat(64));
    }
}
