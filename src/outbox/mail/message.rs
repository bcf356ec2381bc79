//! [`MailDraft`]: builds a mail with its headers, texts and attachments. Pure.
//!
//! Invariant: the same draft results in the same bytes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use lettre::Address;
use lettre::message::header::{self, ContentTransferEncoding, Header, HeaderName, HeaderValue};
use lettre::message::{Attachment, Body, Mailbox, Message, MultiPart, SinglePart};

use super::attachment::{Enclosure, is_gzip};
use super::text::{MailContent, write_texts};

/// The content of a mail to one address, before the mail is built.
#[derive(Debug)]
pub struct MailDraft<'a> {
    pub content: MailContent<'a>,
    /// The local part of the mail's Message-ID, such as `msg_….d7`. All attempts have the same
    /// Message-ID.
    pub id: &'a str,
    /// The time of the milestone. The mail has this time in its Date header.
    pub at: Timestamp,
    pub to: &'a str,
    /// The error file of each import that the mail is about.
    pub error_files: Vec<Enclosure>,
}

/// The reason why a mail cannot be built. Another attempt would fail in the same way.
#[derive(Debug, thiserror::Error)]
pub(super) enum BuildError {
    #[error("{0:?} is not an address that mail can be sent to")]
    Recipient(String, #[source] lettre::address::AddressError),
    #[error("[mail] from is not an address")]
    Sender(#[source] lettre::address::AddressError),
    #[error("a template of the mail failed")]
    Template(#[from] askama::Error),
    #[error("the mail can't be built")]
    Parts(#[from] lettre::error::Error),
}

/// Builds the mail for `draft`. `from` is the address of the sender.
pub(super) fn build(from: &str, draft: &MailDraft<'_>) -> Result<Message, BuildError> {
    let from: Mailbox = from.parse().map_err(BuildError::Sender)?;
    let to: Address =
        draft.to.parse().map_err(|e| BuildError::Recipient(draft.to.to_owned(), e))?;
    let texts = write_texts(draft.content, &draft.error_files)?;
    let id = draft.id;
    let alternative = MultiPart::alternative()
        .boundary(format!("=_a_{id}"))
        .singlepart(SinglePart::plain(texts.text))
        .singlepart(SinglePart::html(texts.html));
    let attached = draft.error_files.iter().filter_map(|error_file| match error_file {
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
        .date(date(draft.at))
        .message_id(Some(message_id))
        .header(AutoSubmitted)
        .multipart(parts)?)
}

/// Converts a time to the date of a mail, in whole seconds since 1970.
fn date(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(at.as_second()).unwrap_or_default())
}

/// Returns the MIME part for an error file. The part is encoded as base64, because other encodings
/// may change line ends.
fn attachment(name: &str, content: &[u8]) -> SinglePart {
    let body = Body::new_with_encoding(content.to_vec(), ContentTransferEncoding::Base64)
        .unwrap_or_else(|_| unreachable!("base64 encodes any bytes"));
    let kind = if is_gzip(content) { "application/gzip" } else { "text/csv; charset=utf-8" };
    let kind = header::ContentType::parse(kind).expect("both constants are content types");
    Attachment::new(file_name(name)).body(body, kind)
}

/// Returns a file name without characters that are unsafe in file names, such as path separators,
/// quotes and control characters. Each of them is replaced by `_`.
fn file_name(name: &str) -> String {
    let safe =
        |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ' | '(' | ')' | '+');
    name.chars().map(|c| if safe(c) { c } else { '_' }).collect()
}

/// The mail header that suppresses automatic replies (RFC 3834).
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
