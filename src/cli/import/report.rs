//! Prints a report as text or as JSON.
//!
//! The text has the counts of records, the reasons for rejections, and advice for each reason.

use std::io;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, HumanDuration};

use crate::cli::output::{BAD, FAINT, FAIR, GOOD, Output, PLAIN, STRONG, StyledLine};
use crate::records;
use crate::report::{Failure, ImportState, RejectionCount, Report};

/// The maximum number of rejections that the text of a report shows.
const SHOWN: usize = 10;

/// The maximum number of warnings, or of findings of a failure, that the text of a report shows.
const MAX_LINES: usize = 40;

/// The maximum number of characters of a line, and the column at which the values of fields begin.
const WIDTH: usize = 100;
const INDENT: usize = 14;

/// The minimum duration of a check that the text of a report shows.
const LONG: Duration = Duration::from_secs(1);

/// The verdict on a pair according to its report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckVerdict {
    /// Every record of the data file would be accepted.
    Whole,
    /// Some records of the data file would be rejected.
    Part,
    /// No record of the data file would be imported.
    Nothing,
}

impl CheckVerdict {
    pub fn of(report: &Report) -> Self {
        match report.state {
            ImportState::Failed => Self::Nothing,
            _ if report.is_clean() => Self::Whole,
            _ => Self::Part,
        }
    }
}

pub fn print(report: &Report, output: &Output) -> io::Result<()> {
    output.json(report)?;
    print_text(report, output)
}

/// Prints `report` as text, unless JSON was requested.
pub fn print_text(report: &Report, output: &Output) -> io::Result<()> {
    lines(report).iter().try_for_each(|line| output.styled(line))
}

/// Prints `report` as text without the line about the error file, unless JSON was requested.
pub fn print_verdict(report: &Report, output: &Output) -> io::Result<()> {
    verdict(report).iter().try_for_each(|line| output.styled(line))
}

fn lines(report: &Report) -> Vec<StyledLine> {
    let mut lines = verdict(report);
    lines.extend(wrap(error_file(report)));
    lines
}

fn verdict(report: &Report) -> Vec<StyledLine> {
    let mut lines = vec![title(report)];
    lines.extend(facts(report));
    lines.extend(wrap(report.failure.iter().flat_map(failure)));
    if let Some((first, others)) = report.rejections.split_first() {
        lines.push(field(
            "reasons",
            PLAIN,
            "each reason with its count, its first line and advice",
        ));
        lines.extend([first].into_iter().chain(others).take(SHOWN).flat_map(rejection));
        if report.rejections.len() > SHOWN {
            lines.push(indented(format!("and {} more reasons", report.rejections.len() - SHOWN)));
        }
    }
    lines.extend(wrap(listed("warning", FAIR, report.warnings.iter().map(String::as_str))));
    lines
}

/// Wraps long lines. Lines with a fixed text are not wrapped, so that the text can be searched for.
fn wrap(lines: impl IntoIterator<Item = StyledLine>) -> impl Iterator<Item = StyledLine> {
    lines.into_iter().flat_map(|line| line.wrapped(WIDTH, INDENT))
}

fn title(report: &Report) -> StyledLine {
    let verdict = match (&report.import, CheckVerdict::of(report)) {
        (Some(_), _) => report.state.as_str(),
        (None, CheckVerdict::Whole) => "would import completely",
        (None, CheckVerdict::Part) => "would import in part",
        (None, CheckVerdict::Nothing) => "would fail",
    };
    let style = match (report.state, CheckVerdict::of(report)) {
        (ImportState::Completed, CheckVerdict::Whole) => GOOD,
        (_, CheckVerdict::Nothing) => BAD,
        (ImportState::Completed, _) => FAIR,
        _ => STRONG,
    };
    let import =
        report.import.iter().fold(StyledLine::default(), |l, id| l.and(STRONG, id).and(PLAIN, " "));
    let dry = if report.dry_run { " (dry run: nothing was stored)" } else { "" };
    import.and(STRONG, &report.manifest).and(PLAIN, ": ").and(style, verdict).and(PLAIN, dry)
}

fn facts(report: &Report) -> Vec<StyledLine> {
    let mut lines = Vec::new();
    let mut add = |name, value: String| lines.push(field(name, PLAIN, value));
    if let Some(file) = &report.data_file {
        let kind = report.data_type.map_or("", |kind| kind.as_str());
        let size = Some(report.bytes).filter(|bytes| *bytes > 0);
        let size = size.map_or_else(String::new, |bytes| format!(", {}", HumanBytes(bytes)));
        add("data file", format!("{file} ({kind}{size})"));
    }
    let [read, accepted, rejected] =
        [report.records.read, report.records.accepted, report.records.rejected].map(HumanCount);
    if report.failure.is_none() || report.records.read > 0 {
        add("records", format!("{read} read = {accepted} accepted + {rejected} rejected"));
    }
    for (name, at) in [("first event", report.first_ts), ("last event", report.last_ts)] {
        if let Some(at) = at {
            add(name, at.to_string());
        }
    }
    if let Some(sha256) = &report.sha256 {
        add("sha256", sha256.clone());
    }
    if report.import.is_some() {
        add("received", format!("{:.3}", report.received_at));
        if let Some(at) = report.finished_at {
            add("finished", format!("{at:.3}"));
        }
    } else if let Some(took) = duration(report).filter(|took| *took >= LONG) {
        add("took", HumanDuration(took).to_string());
    }
    lines
}

fn duration(report: &Report) -> Option<Duration> {
    report.finished_at?.duration_since(report.started_at?).try_into().ok()
}

fn failure(failure: &Failure) -> Vec<StyledLine> {
    let mut lines = vec![field("failure", BAD, failure.message.as_str())];
    let findings = failure.detail.split("; ").filter(|finding| !finding.is_empty());
    lines.extend(listed("", PLAIN, findings));
    lines.push(field("to do", PLAIN, failure.message.advice()));
    lines
}

fn rejection(rejection: &RejectionCount) -> Vec<StyledLine> {
    let count = format!("{:>10} x ", HumanCount(rejection.count).to_string());
    let reason = StyledLine::new(STRONG, count).and(BAD, &rejection.message);
    let reason = reason.and(PLAIN, format!(", first in line {}", rejection.first_line));
    let advice = records::advice(&rejection.message);
    [reason].into_iter().chain(wrap(advice.map(indented))).collect()
}

fn error_file(report: &Report) -> Option<StyledLine> {
    match &report.error_file {
        Some(file) => Some(field("error file", PLAIN, file)),
        None if report.import.is_none() && report.records.rejected > 0 => Some(field(
            "error file",
            PLAIN,
            "no file is written; --errors FOLDER writes the rejected records, each with its reason",
        )),
        None => None,
    }
}

/// Returns a line for each of `texts`, up to [`MAX_LINES`]. The first line has the label `name`.
fn listed<'a>(
    name: &'static str,
    style: anstyle::Style,
    texts: impl Iterator<Item = &'a str>,
) -> Vec<StyledLine> {
    let mut lines: Vec<StyledLine> = texts
        .enumerate()
        .map(|(n, text)| field(if n == 0 { name } else { "" }, style, text))
        .collect();
    let more = lines.len().saturating_sub(MAX_LINES);
    if more > 0 {
        lines.truncate(MAX_LINES);
        lines.push(indented(format!("and {more} more lines")));
    }
    lines
}

fn field(name: &str, style: anstyle::Style, value: impl std::fmt::Display) -> StyledLine {
    StyledLine::new(FAINT, format!("  {name:<12}")).and(style, value)
}

fn indented(text: impl std::fmt::Display) -> StyledLine {
    field("", PLAIN, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Counts, FailureText};

    fn report() -> Report {
        Report {
            state: ImportState::Completed,
            ..Report::queued("e.manifest", "2026-11-23T20:00:00Z".parse().unwrap())
        }
    }

    fn plain(report: &Report) -> String {
        let text: String = lines(report).iter().map(|line| format!("{line}\n")).collect();
        anstream::adapter::strip_str(&text).to_string()
    }

    fn rejections(n: u64) -> Vec<RejectionCount> {
        let count = |n| RejectionCount {
            message: "Event name is mandatory".into(),
            count: 1_000 * n,
            first_line: n + 2,
        };
        (0..n).rev().map(count).collect()
    }

    #[test]
    fn report_lists_ten_rejections_and_counts_others() {
        let records = Counts { read: 1_000_000, accepted: 0, rejected: 1_000_000 };
        let text = plain(&Report { records, rejections: rejections(12), ..report() });
        assert!(text.contains("1,000,000 read = 0 accepted + 1,000,000 rejected"), "{text}");
        assert!(text.contains("11,000 x Event name is mandatory, first in line 13\n"), "{text}");
        assert_eq!(text.matches("first in line").count(), 10, "{text}");
        assert_eq!(text.matches("Write a name into the event's column.").count(), 10, "{text}");
        assert!(text.contains("and 2 more reasons\n"), "{text}");
    }

    #[test]
    fn each_finding_has_its_own_line() {
        let findings = (0..50).map(|n| format!("finding {n}")).collect::<Vec<_>>().join("; ");
        let failure = Some(Failure::new(FailureText::Manifest, findings));
        let text = plain(&Report { state: ImportState::Failed, failure, ..report() });
        assert!(text.starts_with("e.manifest: would fail\n"), "{text}");
        assert!(text.contains("  finding 0\n") && text.contains("  finding 39\n"), "{text}");
        assert!(text.contains("and 10 more lines\n") && text.contains("to do"), "{text}");
    }

    #[test]
    fn long_checks_show_their_duration() {
        let started = "2026-11-23T20:00:00Z".parse().unwrap();
        let finished = "2026-11-23T20:02:00Z".parse().unwrap();
        let times = |finished| Report {
            started_at: Some(started),
            finished_at: Some(finished),
            ..report()
        };
        assert!(plain(&times(finished)).contains("2 minutes"));
        assert!(!plain(&times(started)).contains("took"));
    }

    #[test]
    fn running_imports_have_a_neutral_style() {
        let id = "sftp1-42".parse().unwrap();
        let account = "acme".parse().unwrap();
        let running = Report { state: ImportState::Running, ..report() }.of(&id, &account);
        assert!(plain(&running).starts_with("sftp1-42 e.manifest: running\n"));
        assert!(title(&running).to_string().contains(&format!("{STRONG}running")));
    }
}
