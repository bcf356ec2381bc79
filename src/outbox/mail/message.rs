//! Builds the mail of a letter: its headers, texts and attachments. Pure.
//!
//! Invariant: the same letter results in the same bytes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use lettre::Address;
use lettre::message::header::{self, ContentTransferEncoding, Header, HeaderName, HeaderValue};
use lettre::message::{Attachment, Body, Mailbox, Message, MultiPart, SinglePart};

use super::{About, Enclosure, GZIP, Letter};
use crate::outbox::mail::text;
use crate::outbox::mail::text::ErrorFile;

/// A mail can't be built. Another attempt can't help.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{0:?} is not an address that mail can be sent to")]
    Recipient(String, #[source] lettre::address::AddressError),
    #[error("[mail] from is not an address")]
    Sender(#[source] lettre::address::AddressError),
    #[error("a template of the mail failed")]
    Template(#[from] askama::Error),
    #[error("the mail can't be built")]
    Parts(#[from] lettre::error::Error),
}

/// Builds the mail.
pub fn build(from: &str, letter: &Letter<'_>) -> Result<Message, BuildError> {
    let from: Mailbox = from.parse().map_err(BuildError::Sender)?;
    let to: Address =
        letter.to.parse().map_err(|e| BuildError::Recipient(letter.to.to_owned(), e))?;
    let texts = texts(letter)?;
    let id = letter.id;
    let alternative = MultiPart::alternative()
        .boundary(format!("=_a_{id}"))
        .singlepart(SinglePart::plain(texts.text))
        .singlepart(SinglePart::html(texts.html));
    let attached = letter.error_files.iter().filter_map(|error_file| match error_file {
        Enclosure::Attached(name, content) => Some(attachment(name, content)),
        Enclosure::None | Enclosure::Named(_) => None,
    });
    let mut attached = attached.peekable();
    let parts = match attached.peek() {
        None => alternative,
        Some(_) => attached.fold(
            MultiPart::mixed().boundary(format!("=_m_{id}")).multipart(alternative),
            MultiPart::singlepart,
        ),
    };
    let message_id = format!("<{id}@{}>", from.email.domain());
    Ok(Message::builder()
        .from(from)
        .to(Mailbox::new(None, to))
        .subject(texts.subject)
        .date(date(letter.at))
        .message_id(Some(message_id))
        .header(AutoSubmitted)
        .multipart(parts)?)
}

fn texts(letter: &Letter<'_>) -> Result<text::Texts, askama::Error> {
    let mention = |n: usize| letter.error_files.get(n).map_or(ErrorFile::None, Enclosure::mention);
    match letter.about {
        About::Import(told) => text::texts(told, &mention(0)),
        About::Several(told) => {
            let each = told.iter().enumerate().map(|(n, told)| (told.clone(), mention(n)));
            text::digest_texts(&each.collect::<Vec<_>>())
        }
        About::Endpoint(notice) => text::disabled_texts(notice),
        About::Unclaimed(notice) => text::unclaimed_texts(notice),
    }
}

/// Converts `at` to a mail's date: whole seconds since 1970.
fn date(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(at.as_second()).unwrap_or_default())
}

/// Returns the part for an error file. It is in base64, as other encodings may change line ends.
fn attachment(name: &str, content: &[u8]) -> SinglePart {
    let body = Body::new_with_encoding(content.to_vec(), ContentTransferEncoding::Base64)
        .unwrap_or_else(|_| unreachable!("base64 takes any bytes"));
    let kind =
        if content.starts_with(&GZIP) { "application/gzip" } else { "text/csv; charset=utf-8" };
    let kind = header::ContentType::parse(kind).expect("two constants that are content types");
    Attachment::new(file_name(name)).body(body, kind)
}

/// Returns `name` without separators, quotes and control characters, for mail programs to save.
fn file_name(name: &str) -> String {
    let safe =
        |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ' | '(' | ')' | '+');
    name.chars().map(|c| if safe(c) { c } else { '_' }).collect()
}

/// The header that suppresses automatic replies (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}
