//! [`SafeText`] and other parts that the mails share. Pure.
//!
//! Every text that a partner chose becomes a [`SafeText`] before it enters a template. A `SafeText`
//! has no control characters and no bidirectional overrides. The HTML templates also escape it.

use std::fmt;

use crate::outbox::mail::attachment::{Enclosure, is_gzip};
use crate::report::{Failure, RejectionCount};
use crate::sanitize::printable;

/// The maximum number of lines that a mail has for the warnings of an import or for the findings
/// of a failure.
const MAX_LINES: usize = 20;

/// The maximum number of characters that a mail shows of one text from a partner.
pub(super) const MAX_TEXT: usize = 500;

/// The maximum number of characters that a mail shows of a sample record.
const MAX_SAMPLE: usize = 160;

/// The maximum number of characters of a file name in the subject of a mail.
pub(super) const MAX_SUBJECT_NAME: usize = 60;

/// Text that is safe to show in a mail. Only [`safe_text`] creates it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SafeText(String);

impl fmt::Display for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns `text` as printable text with at most `max` characters.
pub(super) fn safe_text(text: &str, max: usize) -> SafeText {
    match text.char_indices().nth(max) {
        Some((end, _)) => SafeText(format!("{}…", printable(&text[..end]))),
        None => SafeText(printable(text)),
    }
}

/// Returns the first [`MAX_LINES`] of `texts`. If there are more texts, the last line has the
/// number of the omitted texts.
pub(super) fn safe_lines<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<SafeText> {
    let mut lines: Vec<SafeText> = texts.map(|text| safe_text(text, MAX_TEXT)).collect();
    if lines.len() > MAX_LINES {
        let more = lines.len() - MAX_LINES;
        lines.truncate(MAX_LINES);
        lines.push(SafeText(format!("and {more} more lines")));
    }
    lines
}

/// The three texts of a mail: the subject, the plain text and the HTML.
#[derive(Clone, Debug)]
pub struct MailTexts {
    /// The subject of the mail. The subject has one line.
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// Returns `subject` without encoded words (RFC 2047). Mail programs decode encoded words, so an
/// encoded word in a file name could contain every character that [`safe_text`] removes.
pub(super) fn plain_subject(subject: &str) -> String {
    subject.trim().replace("=?", "= ?")
}

/// Renders the three templates of a mail. Inside the templates, the variable `mail` has the value
/// of `$mail`.
macro_rules! render {
    ($mail:expr, $type:ty, $subject:literal, $text:literal, $html:literal) => {{
        #[derive(askama::Template)]
        #[template(path = $subject)]
        struct SubjectTemplate<'a> {
            mail: &'a $type,
        }
        #[derive(askama::Template)]
        #[template(path = $text)]
        struct TextTemplate<'a> {
            mail: &'a $type,
        }
        #[derive(askama::Template)]
        #[template(path = $html)]
        struct HtmlTemplate<'a> {
            mail: &'a $type,
        }
        let mail = $mail;
        Ok($crate::outbox::mail::text::parts::MailTexts {
            subject: $crate::outbox::mail::text::parts::plain_subject(&askama::Template::render(
                &SubjectTemplate { mail },
            )?),
            text: askama::Template::render(&TextTemplate { mail })?,
            html: askama::Template::render(&HtmlTemplate { mail })?,
        })
    }};
}
pub(super) use render;

/// The texts about one rejection, formatted for a mail.
pub(super) struct RejectionEntry {
    pub count: String,
    pub message: SafeText,
    pub first_line: u64,
    pub sample: Option<SafeText>,
}

impl RejectionEntry {
    pub(super) fn new(rejection: &RejectionCount, sample: Option<&str>) -> Self {
        Self {
            count: thousands(rejection.count),
            message: safe_text(&rejection.message, MAX_TEXT),
            first_line: rejection.first_line,
            sample: sample.map(|sample| safe_text(sample, MAX_SAMPLE)),
        }
    }
}

/// The texts about the failure of an import, formatted for a mail.
pub(super) struct FailureEntry {
    pub message: &'static str,
    pub details: Vec<SafeText>,
}

impl FailureEntry {
    pub(super) fn new(failure: &Failure) -> Self {
        let details = failure.detail.split("; ").filter(|line| !line.is_empty());
        Self { message: failure.message.as_str(), details: safe_lines(details) }
    }
}

/// The texts about an error file, formatted for a mail.
pub(super) struct ErrorFileEntry {
    pub name: SafeText,
    /// The way in which the partner gets the error file.
    pub how: String,
}

impl ErrorFileEntry {
    pub(super) fn new(name: &str, enclosure: &Enclosure) -> Option<Self> {
        let how = match enclosure {
            Enclosure::None => return None,
            Enclosure::Attached(_, content) if is_gzip(content) => {
                "attached to this mail, gzipped".to_owned()
            }
            Enclosure::Attached(..) => "attached to this mail".to_owned(),
            Enclosure::Named(why) => format!("fetch the file over SFTP; {why}"),
        };
        Some(Self { name: safe_text(name, MAX_TEXT), how })
    }
}

/// Formats a number with commas between thousands: `1234567` as `1,234,567`.
pub(super) fn thousands(n: u64) -> String {
    indicatif::HumanCount(n).to_string()
}
