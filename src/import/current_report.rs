//! The current report of an import: final, or in progress.

use std::io::{BufReader, Read};

use super::row::ImportRow;
use crate::report::Report;
use crate::spool::{Layout, Results};

/// The most bytes of a report that are read.
const MAX_REPORT: u64 = 16 << 20;

/// Returns the current report of an import: the final report, the report in results/, or a report
/// made from the database row.
pub fn current_report(row: &ImportRow, layout: &Layout) -> Report {
    let from_row = || Report {
        data_type: row.data_type,
        data_file: row.data_file.clone(),
        state: row.state,
        started_at: row.started_at,
        ..Report::queued(&row.manifest, row.received_at).of(&row.id, &row.account)
    };
    row.report.clone().or_else(|| progress_report(row, layout)).unwrap_or_else(from_row)
}

/// Returns the progress report in results/. `None` if that report belongs to another import, or is
/// the final report of a run before a retry.
fn progress_report(row: &ImportRow, layout: &Layout) -> Option<Report> {
    let results = Results::open(layout, &row.account).ok()?;
    let file = results.read(&format!("{}.result.json", row.stem)).ok()?;
    let file = BufReader::new(file.take(MAX_REPORT));
    let report: Report = serde_json::from_reader(file).ok()?;
    let is_this = report.import.as_ref() == Some(&row.id) && report.state == row.state;
    is_this.then_some(report)
}
