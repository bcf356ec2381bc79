//! Prints text for people and JSON for programs, with control characters escaped.

use std::fmt;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use crate::sanitize::{is_unprintable, printable};

/// The text style for success.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// The text style for partial success.
pub const FAIR: Style = AnsiColor::Yellow.on_default().bold();
/// The text style for failure.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// The text style for titles.
pub const STRONG: Style = Style::new().bold();
/// The text style for labels.
pub const FAINT: Style = Style::new().dimmed();
pub const PLAIN: Style = Style::new();

/// A line of styled text. Control characters are escaped, so that the text can't change the style
/// or start another line.
#[derive(Clone, Debug, Default)]
pub struct StyledLine(Vec<(Style, String)>);

impl StyledLine {
    pub fn new(style: Style, text: impl fmt::Display) -> Self {
        Self::default().and(style, text)
    }

    /// Appends `text` to the line, in the given style.
    #[must_use]
    pub fn and(mut self, style: Style, text: impl fmt::Display) -> Self {
        self.0.push((style, printable(&text.to_string())));
        self
    }
}

impl StyledLine {
    /// Breaks the line at spaces. Each line then has at most `width` characters, unless a word is
    /// longer. The lines after the first begin with `indent` spaces.
    pub fn wrapped(&self, width: usize, indent: usize) -> Vec<Self> {
        let mut lines = vec![Self::default()];
        let mut column = 0;
        for (style, text) in &self.0 {
            let mut kept = String::new();
            for word in text.split_inclusive(' ') {
                let length = word.trim_end_matches(' ').chars().count();
                if column + length > width && column > indent {
                    let kept = std::mem::take(&mut kept);
                    if let Some(line) = lines.last_mut() {
                        line.0.push((*style, kept.trim_end().to_owned()));
                    }
                    lines.push(Self(vec![(PLAIN, " ".repeat(indent))]));
                    column = indent;
                }
                kept += word;
                column += word.chars().count();
            }
            if let Some(line) = lines.last_mut().filter(|_| !kept.is_empty()) {
                line.0.push((*style, kept));
            }
        }
        lines
    }
}

impl fmt::Display for StyledLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(style, text)| write!(f, "{style}{text}{style:#}"))
    }
}

/// Prints a command's results. [`printable`] escapes every text.
#[derive(Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a line of text, unless JSON was requested.
    pub fn line(&self, text: &str) -> io::Result<()> {
        self.styled(&StyledLine::new(PLAIN, text))
    }

    /// Prints a styled line, unless JSON was requested. The line has no styles if standard output
    /// is not a terminal or `NO_COLOR` is set.
    pub fn styled(&self, line: &StyledLine) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        writeln!(anstream::stdout().lock(), "{line}")
    }

    /// Prints a note on standard error, where it is not mixed with a result.
    pub fn note(&self, text: &str) {
        // Errors are ignored, because no other stream could report them.
        let _ = writeln!(anstream::stderr().lock(), "note: {}", printable(text));
    }

    /// Prints a JSON text, even if JSON was not requested.
    pub fn json_text(&self, json: &str) -> io::Result<()> {
        io::stdout().lock().write_all(escape_json(json).as_bytes())
    }

    /// Prints `value` as JSON, if JSON was requested.
    pub fn json(&self, value: &impl Serialize) -> io::Result<()> {
        if !self.json {
            return Ok(());
        }
        writeln!(io::stdout().lock(), "{}", escape_json(&serde_json::to_string_pretty(value)?))
    }

    /// Prints `value` as JSON on one line, if JSON was requested. A series of values is printed in
    /// this way.
    pub fn json_line(&self, value: &impl Serialize) -> io::Result<()> {
        if self.json { self.json_lines(&[value]) } else { Ok(()) }
    }

    /// Prints each of `values` as JSON on one line, even if JSON was not requested.
    pub fn json_lines(&self, values: &[impl Serialize]) -> io::Result<()> {
        let mut text = String::new();
        for value in values {
            text.push_str(&escape_json(&serde_json::to_string(value)?));
            text.push('\n');
        }
        io::stdout().lock().write_all(text.as_bytes())
    }

    /// Prints a result: `value` as JSON, or else `lines`.
    pub fn result<L: AsRef<str>>(
        &self,
        value: &impl Serialize,
        lines: impl IntoIterator<Item = L>,
    ) -> io::Result<()> {
        self.json(value)?;
        lines.into_iter().try_for_each(|line| self.line(line.as_ref()))
    }

    /// Prints a list: `values` as a JSON array, or a table with `titles` and a `row` for each
    /// value. Prints `empty` instead of a table without rows.
    pub fn list<T: Serialize>(
        &self,
        values: &[T],
        titles: &[&str],
        empty: &str,
        row: impl Fn(&T) -> Vec<String>,
    ) -> io::Result<()> {
        if self.json {
            return self.json(&values);
        }
        if values.is_empty() {
            return self.line(empty);
        }
        let mut table = Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(titles);
        for value in values {
            table.add_row(row(value).iter().map(|cell| printable(cell)));
        }
        let mut stdout = anstream::stdout().lock();
        for line in table.lines() {
            writeln!(stdout, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Prints a failure and its hint on standard error.
    pub fn error(&self, message: &str, hint: Option<&str>) {
        let mut stderr = anstream::stderr().lock();
        // Errors are ignored, because no other stream could report them.
        let _ = writeln!(stderr, "sftp-import: {}", printable(message));
        if let Some(hint) = hint {
            let _ = writeln!(stderr, "  try: {}", printable(hint));
        }
    }
}

/// Escapes the unprintable characters of `json`. The serializer escapes only characters below
/// U+0020. Outside strings, the only unprintable characters of JSON are newlines.
fn escape_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && is_unprintable(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_in_texts_are_escaped() {
        let line = StyledLine::new(BAD, "a\x1b[2J").and(PLAIN, "b\n").and(FAINT, "\u{9b}31m");
        assert_eq!(
            line.to_string(),
            "\x1b[1m\x1b[31ma\\u{1b}[2J\x1b[0mb\\u{a}\x1b[2m\\u{9b}31m\x1b[0m"
        );
    }

    #[test]
    fn long_lines_are_broken_at_spaces() {
        let line =
            StyledLine::new(FAINT, "  warning  ").and(FAIR, "one two three, four").and(PLAIN, " x");
        let shown = |width| {
            let lines = line.wrapped(width, 4);
            let lines = lines
                .iter()
                .map(|line| anstream::adapter::strip_str(&line.to_string()).to_string());
            lines.collect::<Vec<_>>()
        };
        assert_eq!(shown(40), ["  warning  one two three, four x"]);
        assert_eq!(shown(25), ["  warning  one two three,", "    four x"]);
        assert_eq!(shown(12), ["  warning  ", "    one two", "    three,", "    four x"]);
        let word = StyledLine::new(PLAIN, "x".repeat(30));
        assert_eq!(word.wrapped(10, 4).len(), 1, "a long word must not be broken");
    }

    #[test]
    fn escaped_json_keeps_its_value() {
        let value = serde_json::json!({"a\u{9b}": "\u{202e}\u{7f}\n\u{1b}é\u{200b}\u{e0041}😀"});
        let text = escape_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!text.contains(|c: char| c != '\n' && is_unprintable(c)), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
