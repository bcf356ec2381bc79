//! What a mail says: subject, text and HTML, from the templates/ folder. Pure.
//!
//! Everything that a partner chose passes [`Shown`] on its way into a template: no control
//! character and no bidirectional override is left in it. HTML is escaped by its templates, text
//! needs no more, and the subject is built of nothing else.

use std::fmt;

use askama::Template;
use jiff::{SignedDuration, Timestamp};

use super::milestone::Milestone;
use crate::config::Size;
use crate::printable::printable;
use crate::report::{FailureText, Report};

/// How many rejection texts a mail lists.
const TOP_REJECTIONS: usize = 5;

/// How many warnings, or findings of a failure, a mail lists.
const MAX_LINES: usize = 20;

/// How much of one partner-chosen text a mail shows, in characters.
const MAX_TEXT: usize = 500;

/// How much of a file's name a subject shows, in characters.
const MAX_SUBJECT_NAME: usize = 60;

/// Text that is safe to show: made by [`shown`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown(String);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `text`, printable and at most `max` characters long.
fn shown(text: &str, max: usize) -> Shown {
    match text.char_indices().nth(max) {
        Some((end, _)) => Shown(format!("{}…", printable(&text[..end]))),
        None => Shown(printable(text)),
    }
}

/// Whether the error file goes with the mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ErrorFile {
    /// There is none.
    None,
    /// It is attached.
    Attached,
    /// It isn't, and why.
    Named(String),
}

/// A mail's three texts.
#[derive(Clone, Debug)]
pub(super) struct Texts {
    /// One line.
    pub subject: String,
    /// For every mail program.
    pub text: String,
    /// For most.
    pub html: String,
}

/// What the templates may say.
struct Letter {
    import: Shown,
    account: Shown,
    subject_file: Shown,
    colour: &'static str,
    headline: String,
    read: String,
    accepted: String,
    rejected: String,
    has_rejections: bool,
    rejections: Vec<Rejection>,
    more_rejections: usize,
    failure: Option<Failure>,
    next: &'static str,
    warnings: Vec<Shown>,
    error_file: Option<File>,
    facts: Vec<Fact>,
}

struct Rejection {
    count: String,
    message: Shown,
    first_line: u64,
}

struct Failure {
    message: &'static str,
    details: Vec<Shown>,
}

struct File {
    name: Shown,
    attached: bool,
    why_not: String,
}

struct Fact {
    label: &'static str,
    value: Shown,
}

/// Declares a milestone's three templates, and renders them.
macro_rules! render {
    ($letter:expr, $subject:literal, $text:literal, $html:literal) => {{
        #[derive(Template)]
        #[template(path = $subject)]
        struct Subject<'a> {
            l: &'a Letter,
        }
        #[derive(Template)]
        #[template(path = $text)]
        struct Text<'a> {
            l: &'a Letter,
        }
        #[derive(Template)]
        #[template(path = $html)]
        struct Html<'a> {
            l: &'a Letter,
        }
        let l = $letter;
        Ok(Texts {
            subject: Subject { l }.render()?.trim().to_owned(),
            text: Text { l }.render()?,
            html: Html { l }.render()?,
        })
    }};
}

/// The texts of the mail that tells `milestone`, reached at `at`.
///
/// # Errors
/// A template failed.
pub(super) fn texts(
    milestone: Milestone,
    at: Timestamp,
    report: &Report,
    error_file: &ErrorFile,
) -> Result<Texts, askama::Error> {
    let letter = &Letter::new(milestone, at, report, error_file);
    match milestone {
        Milestone::PickedUp => {
            render!(letter, "picked_up/subject.txt", "picked_up/body.txt", "picked_up/body.html")
        }
        Milestone::StillProcessing => render!(
            letter,
            "still_processing/subject.txt",
            "still_processing/body.txt",
            "still_processing/body.html"
        ),
        Milestone::Completed => {
            render!(letter, "completed/subject.txt", "completed/body.txt", "completed/body.html")
        }
        Milestone::Failed => {
            render!(letter, "failed/subject.txt", "failed/body.txt", "failed/body.html")
        }
    }
}

impl Letter {
    fn new(milestone: Milestone, at: Timestamp, report: &Report, error_file: &ErrorFile) -> Self {
        let file = report.data_file.as_ref().unwrap_or(&report.manifest);
        let top = report.rejections.iter().take(TOP_REJECTIONS);
        Self {
            import: shown(report.import.as_ref().map_or("", |id| id.as_str()), MAX_TEXT),
            account: shown(report.account.as_deref().unwrap_or_default(), MAX_TEXT),
            subject_file: shown(file, MAX_SUBJECT_NAME),
            colour: match milestone {
                Milestone::PickedUp | Milestone::StillProcessing => "#2563a8",
                Milestone::Completed => "#1a7f4b",
                Milestone::Failed => "#b3261e",
            },
            headline: headline(milestone, report),
            read: thousands(report.records.read),
            accepted: thousands(report.records.accepted),
            rejected: thousands(report.records.rejected),
            has_rejections: report.records.rejected > 0,
            rejections: top.map(Rejection::new).collect(),
            more_rejections: report.rejections.len().saturating_sub(TOP_REJECTIONS),
            failure: report.failure.as_ref().map(Failure::new),
            next: next_step(report),
            warnings: lines(report.warnings.iter().map(String::as_str)),
            error_file: report.error_file.as_deref().and_then(|name| File::new(name, error_file)),
            facts: facts(milestone, at, report),
        }
    }
}

impl Rejection {
    fn new(count: &crate::report::RejectionCount) -> Self {
        Self {
            count: thousands(count.count),
            message: shown(&count.message, MAX_TEXT),
            first_line: count.first_line,
        }
    }
}

impl Failure {
    fn new(failure: &crate::report::Failure) -> Self {
        let details = failure.detail.split("; ").filter(|line| !line.is_empty());
        Self { message: failure.message.as_str(), details: lines(details) }
    }
}

impl File {
    fn new(name: &str, error_file: &ErrorFile) -> Option<Self> {
        let (attached, why_not) = match error_file {
            ErrorFile::None => return None,
            ErrorFile::Attached => (true, String::new()),
            ErrorFile::Named(why) => (false, why.clone()),
        };
        Some(Self { name: shown(name, MAX_TEXT), attached, why_not })
    }
}

/// The first of `texts`, and how many more there are.
fn lines<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<Shown> {
    let mut lines: Vec<Shown> = texts.map(|text| shown(text, MAX_TEXT)).collect();
    if lines.len() > MAX_LINES {
        let more = lines.len() - MAX_LINES;
        lines.truncate(MAX_LINES);
        lines.push(Shown(format!("and {more} more")));
    }
    lines
}

fn headline(milestone: Milestone, report: &Report) -> String {
    let counts = report.records;
    match milestone {
        Milestone::PickedUp => "Your import has begun.".to_owned(),
        Milestone::StillProcessing => "Your import is still running.".to_owned(),
        Milestone::Completed => {
            let (accepted, read) = (thousands(counts.accepted), thousands(counts.read));
            let verb = match (report.dry_run, counts.accepted) {
                (true, 1) => "is valid",
                (true, _) => "are valid",
                (false, 1) => "was imported",
                (false, _) => "were imported",
            };
            let stored = if report.dry_run { " Nothing was stored: it was a dry run." } else { "" };
            let records = if counts.read == 1 { "record" } else { "records" };
            match counts.rejected {
                0 if counts.read == 1 => format!("The record {verb}.{stored}"),
                0 => format!("All {read} {records} {verb}.{stored}"),
                _ => format!("{accepted} of {read} {records} {verb}.{stored}"),
            }
        }
        Milestone::Failed if report.failure.is_some() => "Your import failed.".to_owned(),
        Milestone::Failed => "Your import failed: every record was rejected.".to_owned(),
    }
}

/// What the partner does now, by the troubleshooting table of the import rules.
fn next_step(report: &Report) -> &'static str {
    let Some(failure) = &report.failure else {
        return if report.records.accepted == 0 {
            "Mend the records in the error file, or the manifest if it names the wrong columns. \
             Upload the file again, and after it a new manifest under a name not used before."
        } else {
            "Mend the records in the error file and upload it, and after it a new manifest under a \
             name not used before. The column Failure Description may stay: it is ignored. Leave \
             out what was accepted: it would be imported twice."
        };
    };
    match failure.message {
        FailureText::NoDataFile => {
            "Upload the data file, and after it a new manifest under a name not used before."
        }
        FailureText::Unreadable => {
            "Mend the data file: CSV with a header line, named .csv, .csv.gz or .csv.zst. Upload \
             it again, and after it a new manifest under a name not used before."
        }
        FailureText::Manifest => {
            "Mend the manifest. Upload the data file again, and after it the manifest under a name \
             not used before. `sftp-import check` finds such mistakes before you upload."
        }
        FailureText::Infra | FailureText::Internal => {
            "The fault is ours, not yours. Upload the data file again, and after it a new manifest \
             under a name not used before. If it fails again, tell us the import's name."
        }
    }
}

fn facts(milestone: Milestone, at: Timestamp, report: &Report) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |label, value: String| facts.push(Fact { label, value: shown(&value, MAX_TEXT) });
    add("Import", report.import.as_ref().map(ToString::to_string).unwrap_or_default());
    add("Account", report.account.clone().unwrap_or_default());
    if let Some(kind) = report.data_type {
        add("Type", kind.as_str().to_owned());
    }
    add("Manifest", report.manifest.clone());
    if let Some(name) = &report.data_file {
        let size = if report.bytes > 0 {
            format!(" ({})", Size::from_bytes(report.bytes))
        } else {
            String::new()
        };
        add("Data file", format!("{name}{size}"));
    }
    if milestone == Milestone::StillProcessing {
        add("Read so far", progress(at, report));
    }
    add("Received", clock(report.received_at));
    if let Some(started) = report.started_at {
        add("Started", clock(started));
    }
    if let Some(finished) = report.finished_at {
        let since = report.started_at.unwrap_or(report.received_at);
        add("Ended", format!("{} ({})", clock(finished), period(finished.duration_since(since))));
    }
    facts
}

/// Records read so far, and how fast.
fn progress(at: Timestamp, report: &Report) -> String {
    let read = report.records.read;
    let seconds = report.started_at.map_or(0, |started| at.duration_since(started).as_secs());
    match u64::try_from(seconds) {
        Ok(seconds) if seconds > 0 && read > 0 => {
            format!("{} records, {} a second", thousands(read), thousands(read / seconds))
        }
        _ => format!("{} records", thousands(read)),
    }
}

fn clock(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn period(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0) => "in less than a second".to_owned(),
        (0, 0, s) => format!("after {s} s"),
        (0, m, s) => format!("after {m} min {s} s"),
        (h, m, _) => format!("after {h} h {m} min"),
    }
}

/// `1234567` as `1,234,567`.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
#[path = "letter_tests.rs"]
mod tests;
