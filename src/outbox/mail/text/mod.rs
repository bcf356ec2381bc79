//! The subject, text and HTML of mails, from the templates/ folder. Pure.
//!
//! Every text that a partner chose becomes [`Shown`] before it enters a template: it then has no
//! control characters and no bidirectional overrides. The HTML templates also escape it.

mod digest;
pub mod endpoint_disabled;
pub mod files_unclaimed;
mod wording;

use std::fmt;

use askama::Template;
pub(super) use digest::digest_texts;
pub(super) use endpoint_disabled::disabled_texts;
pub(super) use files_unclaimed::unclaimed_texts;
use wording::{facts, headline, next_step, percent, thousands};

use crate::outbox::milestone::Milestone;
use crate::outbox::told::Told;
use crate::report::ImportState;
use crate::sanitize::printable;

/// How many rejections a mail lists.
pub const TOP_REJECTIONS: usize = 5;

/// How many warnings, or findings of a failure, a mail lists.
const MAX_LINES: usize = 20;

/// How much of one partner-chosen text a mail shows, in characters.
const MAX_TEXT: usize = 500;

/// How much of a sample record a mail shows, in characters.
const MAX_SAMPLE: usize = 160;

/// How much of a file's name a subject shows, in characters.
const MAX_SUBJECT_NAME: usize = 60;

/// Text that is safe to show. Only [`shown`] makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown(String);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns `text`, printable and cut to `max` characters.
fn shown(text: &str, max: usize) -> Shown {
    match text.char_indices().nth(max) {
        Some((end, _)) => Shown(format!("{}…", printable(&text[..end]))),
        None => Shown(printable(text)),
    }
}

/// How a mail delivers the error file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorFile {
    /// The import has no error file.
    None,
    Attached,
    Gzipped,
    /// The mail only names it, for this reason.
    Named(String),
}

/// The three texts of a mail.
#[derive(Clone, Debug)]
pub struct Texts {
    /// One line.
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// The values of a milestone's templates.
struct Letter {
    import: Shown,
    account: Shown,
    subject_file: Shown,
    colour: &'static str,
    headline: String,
    is_queued: bool,
    /// The part of the data file that was read.
    percent: Option<u64>,
    read: String,
    accepted: String,
    rejected: String,
    has_rejections: bool,
    rejections: Vec<Rejection>,
    more_rejections: usize,
    failure: Option<Failure>,
    next: String,
    warnings: Vec<Shown>,
    error_file: Option<File>,
    facts: Vec<Fact>,
}

struct Rejection {
    count: String,
    message: Shown,
    first_line: u64,
    sample: Option<Shown>,
}

struct Failure {
    message: &'static str,
    details: Vec<Shown>,
}

struct File {
    name: Shown,
    how: String,
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
            subject: plain_words(Subject { l }.render()?.trim()),
            text: Text { l }.render()?,
            html: Html { l }.render()?,
        })
    }};
}

/// Returns the texts of the mail about one milestone.
pub fn texts(told: &Told, error_file: &ErrorFile) -> Result<Texts, askama::Error> {
    let letter = &Letter::new(told, error_file);
    match told.milestone {
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
    fn new(told: &Told, error_file: &ErrorFile) -> Self {
        let Told { milestone, ref report, .. } = *told;
        let file = report.data_file.as_ref().unwrap_or(&report.manifest);
        let top = told.rejections(TOP_REJECTIONS);
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
            percent: report.progress.as_ref().and_then(|p| percent(p.bytes_read, report.bytes)),
            is_queued: report.state == ImportState::Queued,
            read: thousands(report.records.read),
            accepted: thousands(report.records.accepted),
            rejected: thousands(report.records.rejected),
            has_rejections: report.records.rejected > 0,
            rejections: top.map(|(count, sample)| Rejection::new(count, sample)).collect(),
            more_rejections: report.rejections.len().saturating_sub(TOP_REJECTIONS),
            failure: report.failure.as_ref().map(Failure::new),
            next: next_step(report),
            warnings: lines(report.warnings.iter().map(String::as_str)),
            error_file: report.error_file.as_deref().and_then(|name| File::new(name, error_file)),
            facts: facts(report),
        }
    }
}

impl Rejection {
    fn new(count: &crate::report::RejectionCount, sample: Option<&str>) -> Self {
        Self {
            count: thousands(count.count),
            message: shown(&count.message, MAX_TEXT),
            first_line: count.first_line,
            sample: sample.map(|sample| shown(sample, MAX_SAMPLE)),
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
        let how = match error_file {
            ErrorFile::None => return None,
            ErrorFile::Attached => "attached to this mail".to_owned(),
            ErrorFile::Gzipped => "attached to this mail, gzipped".to_owned(),
            ErrorFile::Named(why) => format!("fetch it over SFTP; {why}"),
        };
        Some(Self { name: shown(name, MAX_TEXT), how })
    }
}

/// Returns `subject` without encoded words (RFC 2047): a mail program decodes them, so one in a
/// file's name could contain every character that [`shown`] removes.
fn plain_words(subject: &str) -> String {
    subject.replace("=?", "= ?")
}

/// Returns the first [`MAX_LINES`] of `texts`, and a line with the number of the others.
fn lines<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<Shown> {
    let mut lines: Vec<Shown> = texts.map(|text| shown(text, MAX_TEXT)).collect();
    if lines.len() > MAX_LINES {
        let more = lines.len() - MAX_LINES;
        lines.truncate(MAX_LINES);
        lines.push(Shown(format!("and {more} more")));
    }
    lines
}

#[cfg(test)]
mod tests;
