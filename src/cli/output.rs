//! Printing: text for people, JSON for programs, and no partner-chosen byte a terminal obeys.

use std::io::{self, IsTerminal, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use crate::printable::printable;

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

    /// `value` as JSON, when JSON is wanted.
    ///
    /// # Errors
    /// Standard output's.
    pub fn json(&self, value: &impl Serialize) -> io::Result<()> {
        if !self.json {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        serde_json::to_writer_pretty(&mut stdout, value)?;
        writeln!(stdout)
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
