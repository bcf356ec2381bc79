//! Snapshots of the texts of every mail, and tests that hostile texts have no effect on mails.

use jiff::{SignedDuration, Timestamp};

use super::milestone::{MilestoneDetails, write_texts};
use super::parts::{MailTexts, thousands};
use super::wording::{headline, length, next_step, period};
use super::*;
use crate::outbox::milestone::Milestone;
use crate::report::{Failure as ReportFailure, FailureText, ImportState, RejectionTally, Report};

const RECEIVED: &str = "2026-01-02T03:04:05.6Z";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn report() -> Report {
    let import = "sftp1-42".parse().unwrap();
    let mut report =
        Report::queued("events.manifest", time(RECEIVED)).of(&import, &"acme".parse().unwrap());
    report.data_type = Some(crate::report::DataType::Event);
    report.data_file = Some("events.csv".into());
    report.bytes = 1_234_567;
    report.state = ImportState::Running;
    report.started_at = Some(time("2026-01-02T03:04:06Z"));
    report
}

pub(super) fn rejected(report: &mut Report, read: u64, texts: &[(&'static str, u64)]) {
    let mut tally = RejectionTally::default();
    let mut line = 1;
    for &(text, count) in texts {
        for _ in 0..count {
            line += 1;
            tally.add(text, line);
        }
    }
    let rejected = line - 1;
    report.records = crate::report::Counts { read, accepted: read - rejected, rejected };
    report.rejections = tally.into_counts(Into::into);
    report.error_file = Some("events.errors.csv".into());
}

pub(super) fn ended(report: &mut Report, state: ImportState) {
    report.state = state;
    report.finished_at = Some(time("2026-01-02T03:06:09Z"));
}

/// Makes the details of a milestone with a sample record for the first rejection. The sample
/// contains the rejection's message, which a hostile partner may have chosen.
fn details(milestone: Milestone, report: &Report) -> MilestoneDetails {
    let sample = report.rejections.first().map(|first| format!(",1578503667,{}", first.message));
    MilestoneDetails { milestone, report: report.clone(), samples: vec![sample] }
}

/// Returns the subject, the plain text and the HTML of a mail as one text for a snapshot.
pub(super) fn whole(texts: &MailTexts) -> String {
    format!("Subject: {}\n\n{}\n{}", texts.subject, texts.text, texts.html)
}

fn mail(milestone: Milestone, report: &Report, error_file: &Enclosure) -> String {
    whole(&write_texts(&details(milestone, report), error_file).unwrap())
}

pub(super) fn attached() -> Enclosure {
    Enclosure::Attached("events.errors.csv".into(), Vec::new())
}

#[test]
fn a_picked_up_mail_names_the_import() {
    insta::assert_snapshot!(mail(Milestone::PickedUp, &report(), &Enclosure::None));
}

#[test]
fn a_progress_mail_has_rate_and_expected_end() {
    let mut report = report();
    report.records = crate::report::Counts { read: 12_345_678, accepted: 12_345_678, rejected: 0 };
    report.bytes = 4_000_000_000;
    report.progress = Some(crate::report::Progress {
        at: time("2026-01-02T05:04:06Z"),
        bytes_read: 1_000_000_000,
        records_per_second: 1_714,
        estimated_end: Some(time("2026-01-02T11:04:06Z")),
    });
    insta::assert_snapshot!(mail(Milestone::StillProcessing, &report, &Enclosure::None));
}

#[test]
fn a_queued_import_mail_has_the_place() {
    let mut report = report();
    (report.state, report.place) = (ImportState::Queued, Some(1_002));
    (report.started_at, report.bytes) = (None, 0);
    insta::assert_snapshot!(mail(Milestone::StillProcessing, &report, &Enclosure::None));
}

#[test]
fn a_completed_mail_has_the_counts() {
    let mut report = report();
    report.records = crate::report::Counts { read: 4, accepted: 4, rejected: 0 };
    report.first_ts = Some(time("2020-01-08T17:14:27Z"));
    report.last_ts = Some(time("2020-02-29T00:00:01Z"));
    ended(&mut report, ImportState::Completed);
    insta::assert_snapshot!(mail(Milestone::Completed, &report, &Enclosure::None));
}

#[test]
fn a_completed_mail_lists_the_top_rejections() {
    let mut report = report();
    let texts = [
        ("Event name is mandatory", 7),
        ("Timestamp not in UNIX epoch format", 6),
        ("INTEGER value expected", 5),
        ("FLOAT value expected", 4),
        ("BOOLEAN value expected", 3),
        ("Cannot have more than 100 event properties", 2),
        ("DATE value expected", 1),
    ];
    rejected(&mut report, 12_345, &texts);
    report.warnings = vec!["the manifest has an unknown key \"owner\"".into()];
    ended(&mut report, ImportState::Completed);
    insta::assert_snapshot!(mail(Milestone::Completed, &report, &attached()));
}

#[test]
fn a_large_error_file_is_only_named() {
    let mut report = report();
    rejected(&mut report, 3, &[("Event name is mandatory", 1)]);
    ended(&mut report, ImportState::Completed);
    let named = Enclosure::Named("the file is larger than 8 MB".into());
    insta::assert_snapshot!(mail(Milestone::Completed, &report, &named));
}

#[test]
fn a_failed_mail_lists_manifest_errors() {
    let mut report = report();
    report.started_at = None;
    report.bytes = 0;
    report.failure = Some(ReportFailure::new(
        FailureText::Manifest,
        "column \"price\" is mapped but not in the header; column \"age\" has dataType \"int\": write INTEGER",
    ));
    ended(&mut report, ImportState::Failed);
    insta::assert_snapshot!(mail(Milestone::Failed, &report, &Enclosure::None));
}

#[test]
fn a_mail_reports_that_all_records_were_rejected() {
    let mut report = report();
    rejected(&mut report, 3, &[("Event name is mandatory", 3)]);
    ended(&mut report, ImportState::Failed);
    insta::assert_snapshot!(mail(Milestone::Failed, &report, &attached()));
}

#[test]
fn headlines_state_the_counts_in_words() {
    let mut report = report();
    for (read, accepted, dry_run, expected) in [
        (1, 1, false, "The record was imported."),
        (2, 2, false, "All 2 records were imported."),
        (2, 1, false, "1 of 2 records was imported."),
        (4000, 3000, false, "3,000 of 4,000 records were imported."),
        (2, 2, true, "All 2 records are valid. Nothing was stored: it was a dry run."),
    ] {
        report.records = crate::report::Counts { read, accepted, rejected: read - accepted };
        report.dry_run = dry_run;
        assert_eq!(headline(Milestone::Completed, &report), expected);
    }
}

#[test]
fn each_failure_has_its_next_step() {
    let mut report = report();
    for (text, expected) in [
        (FailureText::NoDataFile, "The data file must be"),
        (FailureText::Unreadable, "Fix the data file"),
        (FailureText::Manifest, "Fix the manifest"),
        (FailureText::Infra, "The fault is not in your files"),
        (FailureText::Internal, "The fault is not in your files"),
    ] {
        report.failure = Some(ReportFailure::new(text, "x"));
        assert!(next_step(&report).starts_with(expected), "{text:?}");
    }
}

/// Returns a report that has `text` in every field that a partner chooses.
pub(super) fn hostile(text: &str) -> Report {
    let mut report = report();
    report.manifest = format!("{text}.manifest");
    report.data_file = Some(format!("{text}.csv"));
    report.error_file = Some(format!("{text}.errors.csv"));
    report.failure = Some(ReportFailure::new(FailureText::Manifest, text));
    report.warnings = vec![text.to_owned()];
    report.records = crate::report::Counts { read: 1, accepted: 0, rejected: 1 };
    report.rejections =
        vec![crate::report::RejectionCount { message: text.to_owned(), count: 1, first_line: 2 }];
    report
}

#[test]
fn hostile_names_have_no_effect() {
    let evil = "a\r\nBcc: x@evil.example\r\n\r\n<script>alert(1)</script>\"'><img src=x>\u{1b}[2J\u{202e}\0";
    let report = hostile(evil);
    use Milestone::*;
    for milestone in [PickedUp, StillProcessing, Completed, Failed] {
        let texts = write_texts(&details(milestone, &report), &attached()).unwrap();
        for text in [&texts.subject, &texts.text, &texts.html] {
            assert!(!text.contains(['\r', '\u{1b}', '\u{202e}', '\0']), "{text}");
            assert!(!text.lines().any(|line| line.starts_with("Bcc:")), "{text}");
        }
        assert!(!texts.subject.contains('\n'));
        assert!(!texts.html.contains("<script") && !texts.html.contains("<img"), "{}", texts.html);
        assert!(!texts.html.contains("\"'>"), "{}", texts.html);
    }
}

#[test]
fn long_names_and_many_findings_are_truncated() {
    let mut report = hostile(&"é".repeat(100_000));
    report.failure =
        Some(ReportFailure::new(FailureText::Manifest, vec!["a finding"; 1000].join("; ")));
    report.warnings = vec!["a warning".to_owned(); 1000];
    let texts = write_texts(&details(Milestone::Failed, &report), &attached()).unwrap();
    assert!(texts.subject.chars().count() < 120, "{}", texts.subject);
    assert!(texts.text.contains("and 980 more"));
    assert!(texts.text.len() < 20_000 && texts.html.len() < 30_000);
}

#[test]
fn numbers_and_durations_are_formatted() {
    for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(thousands(n), text);
    }
    let lengths = [(1, "1 s"), (5400, "90 min"), (86_400, "a day"), (172_800, "2 days")];
    for (seconds, text) in lengths {
        assert_eq!(length(seconds), text);
    }
    for (seconds, text) in [
        (0, "in less than a second"),
        (59, "after 59 s"),
        (3599, "after 59 min 59 s"),
        (7260, "after 2 h 1 min"),
    ] {
        assert_eq!(period(SignedDuration::from_secs(seconds)).replace('\u{a0}', " "), text);
    }
}
