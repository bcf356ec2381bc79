//! Finds the current report of an import. This is the final report or a progress report.

use super::row::ImportRow;
use super::run::answer::{read_report, report_name};
use crate::report::Report;
use crate::spool::{Layout, Results};

/// Returns the current report of an import. If the database has no final report, returns the
/// progress report in results/. If results/ has no progress report of this import either, makes a
/// report from the database row.
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

/// Returns the progress report in results/. Returns `None` if the report in results/ belongs to
/// another import, or if it is the final report of a run before a retry.
fn progress_report(row: &ImportRow, layout: &Layout) -> Option<Report> {
    let results = Results::open(layout, &row.account).ok()?;
    let report = read_report(&results, &report_name(row))?;
    let is_this = report.import.as_ref() == Some(&row.id) && report.state == row.state;
    is_this.then_some(report)
}
