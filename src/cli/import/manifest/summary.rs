//! [`Summary`] prints the manifest's columns, the notes, and the result of the check.

use std::io;
use std::path::Path;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::cli::import::report;
use crate::cli::output::{FAIR, GOOD, Output, PLAIN, STRONG, StyledLine};
use crate::guess::{Proposal, ProposedColumn};
use crate::report::Report;
use crate::sanitize::excerpt;

/// The maximum number of characters that the table shows of a column's values.
const SHOWN: usize = 32;

/// The information about a manifest that the command prints.
#[derive(Clone, Copy, Debug)]
pub struct Summary<'a> {
    pub proposal: &'a Proposal,
    pub report: &'a Report,
}

/// A column of the manifest in the JSON output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonColumn<'a> {
    header: &'a str,
    becomes: Option<&'a str>,
    data_type: Option<&'static str>,
    format: Option<String>,
    reason: &'a str,
    values: &'a [String],
}

/// The result of the command in the JSON output.
#[derive(Serialize)]
struct JsonSummary<'a> {
    path: String,
    manifest: &'a RawValue,
    columns: Vec<JsonColumn<'a>>,
    notes: &'a [String],
    report: &'a Report,
}

impl Summary<'_> {
    /// Prints the manifest that was written to `path`.
    pub fn print(&self, output: &Output, path: &Path, text: &str) -> io::Result<()> {
        self.print_text(output)?;
        output.styled(
            &StyledLine::new(STRONG, path.display()).and(PLAIN, ": ").and(GOOD, "written"),
        )?;
        if self.report.records.rejected > 0 {
            let check = format!("sftp-import check {} --errors .", path.display());
            output.line(&format!(
                "To get the rejected records, each with its reason, run: {check}"
            ))?;
        }
        output.line("Upload the data file first, then the manifest.")?;
        let manifest: Box<RawValue> = serde_json::from_str(text)?;
        output.json(&JsonSummary {
            path: path.display().to_string(),
            manifest: &manifest,
            columns: self.proposal.columns.iter().map(json_column).collect(),
            notes: &self.proposal.notes,
            report: self.report,
        })
    }

    /// Prints columns, notes and report as text, unless JSON was requested.
    pub fn print_text(&self, output: &Output) -> io::Result<()> {
        if output.is_json() {
            return Ok(());
        }
        let Proposal { manifest, columns, notes, .. } = self.proposal;
        output.line(&format!("{}s, {}", manifest.data_type.as_str(), self.proposal.text()))?;
        let columns: Vec<JsonColumn<'_>> = columns.iter().map(json_column).collect();
        output.list(&columns, &["COLUMN", "VALUES", "BECOMES", "TYPE", "REASON"], "", row)?;
        let note = |text: &String| StyledLine::new(FAIR, "note: ").and(PLAIN, text);
        notes.iter().try_for_each(|text| output.styled(&note(text)))?;
        report::print_verdict(self.report, output)
    }
}

fn json_column(column: &ProposedColumn) -> JsonColumn<'_> {
    JsonColumn {
        header: &column.header,
        becomes: column.becomes.as_deref(),
        data_type: column.data_type.map(|kind| kind.as_str()),
        format: column.format.map(|format| format.to_string()),
        reason: &column.reason,
        values: &column.values,
    }
}

fn row(column: &JsonColumn<'_>) -> Vec<String> {
    let values = column.values.join(", ");
    let mut shown: String = values.chars().take(SHOWN).collect();
    if shown.len() < values.len() {
        shown.push('…');
    }
    let format = column.format.as_ref().map_or(String::new(), |format| format!(" {format}"));
    vec![
        excerpt(column.header).into_owned(),
        shown,
        column.becomes.unwrap_or("–").to_owned(),
        format!("{}{format}", column.data_type.unwrap_or_default()),
        column.reason.to_owned(),
    ]
}
