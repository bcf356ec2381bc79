//! `sftp-import import watch`: shows the progress of an import until it ends.
//!
//! The command reads the state database and the report in results/. It continues after a restart of
//! the daemon, which queues the import again. On a terminal it shows a bar, otherwise a line for
//! each change.

use std::io::{self, IsTerminal};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::report;
use crate::cli::context::{CliContext, CliError, CliResult};
use crate::import::{ImportRow, current_report};
use crate::report::{ImportState, Report};
use crate::spool::Layout;
use crate::state::{State, imports};

/// The interval at which the state database is read. The daemon writes the progress every two
/// seconds.
const POLL: Duration = Duration::from_millis(300);

/// The minimum interval between lines that show only progress.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Returns the import with the id `import`.
pub fn find_import(state: &State, import: &str) -> Result<ImportRow, CliError> {
    state.read(|tx| imports::get(tx, import))?.ok_or_else(|| {
        CliError::new(format_args!("there is no import {import}"))
            .hint("`sftp-import import list` shows the newest imports")
    })
}

/// Shows the progress of `import` until it ends, then its report.
pub fn watch(state: &State, layout: &Layout, import: &str, context: &CliContext) -> CliResult {
    let mut view = ProgressView::new(context);
    loop {
        let row = find_import(state, import)?;
        let report = current_report(&row, layout);
        if row.report.is_some() {
            view.end();
            context.output().json_line(&report)?;
            report::print_text(&report, context.output())?;
            return Ok(report.state == ImportState::Completed);
        }
        view.show(&report, Instant::now(), context)?;
        thread::sleep(POLL);
    }
}

enum ProgressView {
    Bar(ProgressBar),
    Lines(LineFilter),
    Json(Option<Box<Report>>),
}

impl ProgressView {
    fn new(context: &CliContext) -> Self {
        if context.output().is_json() {
            return Self::Json(None);
        }
        if !io::stderr().is_terminal() {
            return Self::Lines(LineFilter::default());
        }
        let style = ProgressStyle::with_template("{spinner} {bar:30} {percent:>3} % {msg}");
        let bar = ProgressBar::no_length();
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(100));
        Self::Bar(bar)
    }

    fn show(&mut self, report: &Report, now: Instant, context: &CliContext) -> io::Result<()> {
        match self {
            Self::Bar(bar) => {
                bar.set_length(report.bytes.max(1));
                bar.set_position(
                    report.progress.as_ref().map_or(0, |progress| progress.bytes_read),
                );
                bar.set_message(describe(report));
            }
            Self::Lines(filter) => {
                if let Some(line) = filter.next(report, now) {
                    context.output().line(&line)?;
                }
            }
            Self::Json(last) if last.as_deref() != Some(report) => {
                context.output().json_line(report)?;
                *last = Some(Box::new(report.clone()));
            }
            Self::Json(_) => {}
        }
        Ok(())
    }

    fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// The progress line that was shown last, and the time at which it was shown.
#[derive(Default)]
struct LineFilter {
    state: Option<(ImportState, Option<u64>)>,
    line: String,
    at: Option<Instant>,
}

impl LineFilter {
    /// Returns the progress line to show at `now`. `None` if no line is due. A new state or place
    /// is shown immediately, and progress is shown at intervals.
    fn next(&mut self, report: &Report, now: Instant) -> Option<String> {
        let (state, line) = (Some((report.state, report.place)), describe(report));
        let due = self.at.is_none_or(|at| now.duration_since(at) >= LINE_EVERY);
        if self.state == state && !(due && self.line != line) {
            return None;
        }
        (self.state, self.at) = (state, Some(now));
        self.line.clone_from(&line);
        Some(line)
    }
}

/// Describes the progress of an import in one line.
fn describe(report: &Report) -> String {
    let import = report.import.as_ref().map(ToString::to_string).unwrap_or_default();
    let state = report.state.as_str();
    match (&report.progress, report.place) {
        (Some(progress), _) => {
            let records = HumanCount(report.records.read);
            let rate = HumanCount(progress.records_per_second);
            let share = (progress.bytes_read * 100).checked_div(report.bytes).unwrap_or_default();
            let end = progress.estimated_end;
            let end = end.map(|at| at.strftime(", estimated end %H:%M:%S UTC").to_string());
            let end = end.unwrap_or_default();
            format!(
                "import {import} is {state}: {records} records, {share} %, {rate} records a second{end}"
            )
        }
        (None, Some(place)) => {
            format!("import {import} is {state}: place {place} in its account's queue")
        }
        (None, None) => format!("import {import} is {state}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Counts, Progress};

    fn queued(place: u64) -> Report {
        let at = "2026-11-23T20:00:00Z".parse().unwrap();
        let (import, account) = ("t-4".parse().unwrap(), "acme".parse().unwrap());
        Report { place: Some(place), ..Report::queued("e.manifest", at).of(&import, &account) }
    }

    fn running(bytes_read: u64) -> Report {
        let at = "2026-11-23T20:00:00Z".parse().unwrap();
        let progress =
            Progress { at, bytes_read, records_per_second: 2_000, estimated_end: Some(at) };
        Report {
            state: ImportState::Running,
            place: None,
            bytes: 1000,
            records: Counts { read: 12_000, accepted: 12_000, rejected: 0 },
            progress: Some(progress),
            ..queued(1)
        }
    }

    #[test]
    fn progress_is_described_in_one_line() {
        assert_eq!(describe(&queued(3)), "import t-4 is queued: place 3 in its account's queue");
        assert_eq!(
            describe(&running(450)),
            "import t-4 is running: 12,000 records, 45 %, 2,000 records a second, \
             estimated end 20:00:00 UTC"
        );
    }

    #[test]
    fn new_queue_places_are_reported_immediately() {
        let (mut filter, begun) = (LineFilter::default(), Instant::now());
        assert!(filter.next(&queued(3), begun).is_some());
        assert_eq!(filter.next(&queued(3), begun + LINE_EVERY), None, "the state has not changed");
        assert!(filter.next(&queued(2), begun + LINE_EVERY).is_some());
        let now = begun + LINE_EVERY * 2;
        assert!(filter.next(&running(10), now).is_some());
        assert_eq!(
            filter.next(&running(20), now + LINE_EVERY / 2),
            None,
            "the interval has not passed"
        );
        assert!(filter.next(&running(30), now + LINE_EVERY).is_some());
    }
}
