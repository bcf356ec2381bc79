//! Printing a report: the same object for people and, with `--json`, for programs.

use std::io;

use indicatif::HumanBytes;

use super::output::Output;
use crate::report::{ImportState, Report};

/// How many rejection texts people see.
const SHOWN: usize = 10;

/// Prints `report`.
///
/// # Errors
/// Standard output's.
pub fn print(report: &Report, output: &Output) -> io::Result<()> {
    output.json(report)?;
    print_text(report, output)
}

/// Prints `report` for people alone.
///
/// # Errors
/// Standard output's.
pub fn print_text(report: &Report, output: &Output) -> io::Result<()> {
    for line in lines(report) {
        output.line(&line)?;
    }
    Ok(())
}

fn lines(report: &Report) -> Vec<String> {
    let mut lines = vec![title(report)];
    let mut field = |name: &str, value: String| lines.push(format!("  {name:<12}{value}"));
    if let Some(file) = &report.data_file {
        let kind = report.data_type.map_or("", |kind| kind.as_str());
        field("data file", format!("{file} ({kind}, {})", HumanBytes(report.bytes)));
    }
    let records = report.records;
    field(
        "records",
        format!(
            "{} read = {} accepted + {} rejected",
            records.read, records.accepted, records.rejected
        ),
    );
    if let Some(sha256) = &report.sha256 {
        field("sha256", sha256.clone());
    }
    field("received", format!("{:.3}", report.received_at));
    if let Some(at) = report.finished_at {
        field("finished", format!("{at:.3}"));
    }
    if let Some(failure) = &report.failure {
        field("failure", failure.message.as_str().into());
        failure.detail.split("; ").for_each(|detail| field("", detail.into()));
    }
    for (place, rejection) in report.rejections.iter().take(SHOWN).enumerate() {
        let name = if place == 0 { "rejected" } else { "" };
        let times = match rejection.count {
            1 => "once".into(),
            n => format!("{n} times"),
        };
        field(
            name,
            format!("{} ({times}, first in line {})", rejection.message, rejection.first_line),
        );
    }
    for warning in &report.warnings {
        field("warning", warning.clone());
    }
    if let Some(file) = &report.error_file {
        field("error file", file.clone());
    }
    lines
}

fn title(report: &Report) -> String {
    let what = match &report.import {
        Some(import) => format!("{import}: {}", report.manifest),
        None => report.manifest.clone(),
    };
    let dry = if report.dry_run { " (dry run: nothing stored)" } else { "" };
    let verdict = match (&report.import, report.state) {
        (None, ImportState::Completed) if report.is_clean() => "would import whole",
        (None, ImportState::Completed) => "would import in part",
        (None, _) => "would fail",
        (Some(_), state) => state.as_str(),
    };
    format!("{what} {verdict}{dry}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Counts, Failure, FailureText, RejectionCount};

    #[test]
    fn says_what_a_partner_asks() {
        let mut report = Report::queued("e.manifest", "2026-11-23T20:00:00Z".parse().unwrap());
        report.state = ImportState::Completed;
        report.records = Counts { read: 4, accepted: 3, rejected: 1 };
        report.rejections = vec![RejectionCount {
            message: "Event name is mandatory".into(),
            count: 1,
            first_line: 3,
        }];
        report.error_file = Some("e.errors.csv".into());
        let text = lines(&report).join("\n");
        for part in [
            "e.manifest would import in part",
            "4 read = 3 accepted + 1 rejected",
            "Event name is mandatory (once, first in line 3)",
            "e.errors.csv",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn lists_every_finding_of_a_failure_on_its_own_line() {
        let mut report = Report::queued("e.manifest", "2026-11-23T20:00:00Z".parse().unwrap());
        report.state = ImportState::Failed;
        report.failure = Some(Failure::new(FailureText::Manifest, "one; two"));
        let lines = lines(&report);
        assert!(lines.iter().any(|line| line.trim() == "one"), "{lines:?}");
        assert!(lines.iter().any(|line| line.trim() == "two"), "{lines:?}");
    }
}
