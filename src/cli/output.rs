//! Printing: text for people, JSON for programs, and no partner-chosen byte a terminal obeys.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use crate::sanitize::{is_unprintable, printable};

/// It went well.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// It went well in part.
pub const FAIR: Style = AnsiColor::Yellow.on_default().bold();
/// It went wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// What stands out.
pub const STRONG: Style = Style::new().bold();
/// What stands back: labels.
pub const FAINT: Style = Style::new().dimmed();
/// As it is.
pub const PLAIN: Style = Style::new();

/// One line of text in styles; no text in it can begin a style, or another line.
#[derive(Clone, Debug, Default)]
pub struct Line(Vec<(Style, String)>);

impl Line {
    /// A line that begins with `text`.
    pub fn new(style: Style, text: impl fmt::Display) -> Self {
        Self::default().and(style, text)
    }

    /// The same line, and `text` after it.
    #[must_use]
    pub fn and(mut self, style: Style, text: impl fmt::Display) -> Self {
        self.0.push((style, printable(&text.to_string())));
        self
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(style, text)| write!(f, "{style}{text}{style:#}"))
    }
}

/// Where a command's results go. Every text passes [`printable`].
#[derive(Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    /// Prints JSON or text.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether the caller wants JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a person is watching.
    pub fn is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// A line of text, for people only.
    ///
    /// # Errors
    /// Standard output's.
    pub fn line(&self, text: &str) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        writeln!(anstream::stdout().lock(), "{}", printable(text))
    }

    /// A line of text in styles, for people only; plain where nobody sees colours, and where
    /// `NO_COLOR` is set.
    ///
    /// # Errors
    /// Standard output's.
    pub fn styled(&self, line: &Line) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        writeln!(anstream::stdout().lock(), "{line}")
    }

    /// `value` as JSON, when JSON is wanted.
    ///
    /// # Errors
    /// Standard output's.
    pub fn json(&self, value: &impl Serialize) -> io::Result<()> {
        if !self.json {
            return Ok(());
        }
        writeln!(io::stdout().lock(), "{}", harmless(&serde_json::to_string_pretty(value)?))
    }

    /// `value` as JSON on one line, when JSON is wanted: for what comes one after the other.
    ///
    /// # Errors
    /// Standard output's.
    pub fn json_line(&self, value: &impl Serialize) -> io::Result<()> {
        if !self.json {
            return Ok(());
        }
        writeln!(io::stdout().lock(), "{}", harmless(&serde_json::to_string(value)?))
    }

    /// `values` as JSON, each on one line, whether JSON is wanted or not.
    ///
    /// # Errors
    /// Standard output's.
    pub fn json_lines(&self, values: &[impl Serialize]) -> io::Result<()> {
        let mut text = String::new();
        for value in values {
            text.push_str(&harmless(&serde_json::to_string(value)?));
            text.push('\n');
        }
        io::stdout().lock().write_all(text.as_bytes())
    }

    /// A list: `values` as a JSON array, or `rows` under `titles`; `empty` when there are none.
    ///
    /// # Errors
    /// Standard output's.
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

    /// A failure and its next step, on standard error.
    pub fn error(&self, message: &str, hint: Option<&str>) {
        let mut stderr = anstream::stderr().lock();
        // Nothing is left to tell a caller who closed standard error.
        let _ = writeln!(stderr, "sftp-import: {}", printable(message));
        if let Some(hint) = hint {
            let _ = writeln!(stderr, "  try: {}", printable(hint));
        }
    }
}

/// Returns the same JSON with every unprintable character escaped: JSON has only those below
/// U+0020 escaped by itself. Outside its texts it has none of them but newlines.
fn harmless(json: &str) -> String {
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
    fn a_line_has_no_escapes_but_its_own() {
        let line = Line::new(BAD, "a\x1b[2J").and(PLAIN, "b\n").and(FAINT, "\u{9b}31m");
        assert_eq!(
            line.to_string(),
            "\x1b[1m\x1b[31ma\\u{1b}[2J\x1b[0mb\\u{a}\x1b[2m\\u{9b}31m\x1b[0m"
        );
    }

    #[test]
    fn json_is_the_same_and_harmless() {
        let value = serde_json::json!({"a\u{9b}": "\u{202e}\u{7f}\n\u{1b}é\u{200b}\u{e0041}😀"});
        let text = harmless(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!text.contains(|c: char| c != '\n' && is_unprintable(c)), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
