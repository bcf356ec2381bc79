//! What a mail says: subject, text and HTML, from the templates/ folder. Pure.
//!
//! Everything that a partner chose passes [`Shown`] on its way into a template: no control
//! character and no bidirectional override is left in it. HTML is escaped by its templates, text
//! needs no more, and the subject is built of nothing else.

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

/// How many rejection texts a mail lists.
pub const TOP_REJECTIONS: usize = 5;

/// How many warnings, or findings of a failure, a mail lists.
const MAX_LINES: usize = 20;

/// How much of one partner-chosen text a mail shows, in characters.
const MAX_TEXT: usize = 500;

/// How much of a sample record a mail shows, in characters.
const MAX_SAMPLE: usize = 160;

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
pub enum ErrorFile {
    /// There is none.
    None,
    /// It is attached.
    Attached,
    /// It is attached, gzipped.
    Gzipped,
    /// It isn't, and why.
    Named(String),
}

/// A mail's three texts.
#[derive(Clone, Debug)]
pub struct Texts {
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
    is_queued: bool,
    /// How much of the data file was read.
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

/// The texts of the mail that tells of one milestone.
///
/// # Errors
/// A template failed.
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

/// `subject` without what a mail program would decode: an encoded word (RFC 2047) in a file's name
/// could bring back every character that [`shown`] took out.
fn plain_words(subject: &str) -> String {
    subject.replace("=?", "= ?")
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

#[cfg(test)]
mod tests;
