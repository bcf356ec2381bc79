//! Sends mail by the server of `[mail]`.
//!
//! A second attempt sends the same Message-ID, Date and boundaries, so that a server can detect a
//! mail that it already has. Every attempt opens a new connection and reads the password file anew.

pub mod attachment;
mod message;
pub mod rate_limit;
pub mod sample_records;
mod sendmail;
pub mod text;
mod transport;

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use lettre::transport::smtp::Error as SmtpError;

use message::{BuildError, build};
use sendmail::SendmailError;
use transport::Hatch;

use self::text::ErrorFile;
use super::notice::EndpointDisabled;
use super::notice::files_unclaimed::FilesUnclaimed;
use super::retry::Outcome;
use super::told::Told;
use crate::config::{Mail, Period};
use crate::sanitize::printable;

/// How much of a server's answer is kept, in characters.
const MAX_KEPT: usize = 300;

/// The timeout of [`greet_mail_server`], in seconds: a person waits for it.
const GREETING_WITHIN: u64 = 15;

/// The first bytes of gzip (RFC 1952); no CSV in UTF-8 begins so.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// One mail to one address.
#[derive(Debug)]
pub(super) struct Letter<'a> {
    pub about: About<'a>,
    /// The local part of the Message-ID, such as `msg_….d7`: the same for every attempt.
    pub id: &'a str,
    /// The time of the milestone, which is the mail's Date.
    pub at: Timestamp,
    pub to: &'a str,
    /// The error file of each import of `about`.
    pub error_files: Vec<Enclosure>,
}

/// The subject of a mail.
#[derive(Clone, Copy, Debug)]
pub(super) enum About<'a> {
    /// A milestone of an import.
    Import(&'a Told),
    /// The ends of several imports of one account.
    Several(&'a [Told]),
    Endpoint(&'a EndpointDisabled),
    Unclaimed(&'a FilesUnclaimed),
}

/// The error file of an import in a mail.
#[derive(Clone, Debug)]
pub(super) enum Enclosure {
    /// The import has no error file.
    None,
    /// The file's name and content.
    Attached(String, Vec<u8>),
    /// The file is only named, for this reason.
    Named(String),
}

impl Enclosure {
    fn is_attached(&self) -> bool {
        matches!(self, Self::Attached(..))
    }

    /// Returns the number of bytes attached.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Attached(_, content) => content.len() as u64,
            Self::None | Self::Named(_) => 0,
        }
    }

    /// Returns the same without the attachment, for a server that rejects the mail's size.
    fn only_named(&self) -> Self {
        match self {
            Self::Attached(..) => Self::Named("too large for the mail server".to_owned()),
            other => other.clone(),
        }
    }

    fn mention(&self) -> ErrorFile {
        match self {
            Self::None => ErrorFile::None,
            Self::Attached(_, content) if content.starts_with(&GZIP) => ErrorFile::Gzipped,
            Self::Attached(..) => ErrorFile::Attached,
            Self::Named(why) => ErrorFile::Named(why.clone()),
        }
    }
}

/// A mail was not sent.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error("[mail] url {0}")]
    Url(String),
    #[error("[mail] password-credential: {0}")]
    Credential(String),
    #[error("cannot read the password {}", path.display())]
    PasswordFile { path: PathBuf, source: io::Error },
    #[error("[mail] url names a user, and there is no password")]
    NoPassword,
    #[error("cannot use [mail] ca-file {}", path.display())]
    CaFile { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Sendmail(#[from] SendmailError),
    #[error("{0}")] // its Display includes its sources
    Smtp(SmtpError),
}

/// Connects to the mail server of `config` and logs in, as for a mail; sends nothing.
///
/// # Errors
/// Returns the reason why mail can't be sent.
pub fn greet_mail_server(config: &Mail) -> Result<(), String> {
    let patience = Period::seconds(config.timeout.get().as_secs().min(GREETING_WITHIN));
    let config = Mail { timeout: patience, ..config.clone() };
    Hatch::new(&config).greet().map_err(|error| printable(&crate::sanitize::chain(&error)))
}

/// Sends mail.
#[derive(Clone, Debug)]
pub(super) struct Mailer {
    hatch: Hatch,
    from: String,
}

impl Mailer {
    pub(super) fn new(config: &Mail) -> Self {
        Self { hatch: Hatch::new(config), from: config.from.clone() }
    }

    /// Sends `letter`.
    ///
    /// If the server rejects its size, sends it once more without attachments: the partner then
    /// still gets the report and the error file's name.
    pub(super) fn send(&self, letter: &Letter<'_>) -> Outcome {
        if self.hatch.is_off() {
            return Outcome::NoMail;
        }
        match self.send_once(letter) {
            Err(error)
                if too_large(&error) && letter.error_files.iter().any(Enclosure::is_attached) =>
            {
                let error_files = letter.error_files.iter().map(Enclosure::only_named).collect();
                let lighter = Letter { error_files, ..*letter };
                self.send_once(&lighter).map_or_else(judge, Outcome::Delivered)
            }
            result => result.map_or_else(judge, Outcome::Delivered),
        }
    }

    fn send_once(&self, letter: &Letter<'_>) -> Result<String, SendError> {
        let message = build(&self.from, letter)?;
        Ok(shortened(&self.hatch.send(&message)?))
    }
}

/// Returns the outcome of a failure to send.
///
/// A mail that can't be built never can. Answers of 4xx, failures of the connection and errors in
/// this host's configuration are temporary. So are failures of authentication (RFC 4954), although
/// they are 5xx: their cause is not the mail.
fn judge(error: SendError) -> Outcome {
    let why = chain(&error);
    match error {
        SendError::Build(_) => Outcome::Never(why),
        SendError::Sendmail(e) if e.is_final() => Outcome::Never(why),
        SendError::Smtp(e) if e.is_permanent() => match code(&e) {
            Some(530 | 534 | 535 | 538) => Outcome::later(why),
            _ => Outcome::Never(why),
        },
        _ => Outcome::later(why),
    }
}

/// Reports whether the server rejected the mail's size (RFC 1870, 6.1 and 6.3).
fn too_large(error: &SendError) -> bool {
    matches!(error, SendError::Smtp(e) if e.is_permanent() && code(e) == Some(552))
}

fn code(error: &SmtpError) -> Option<u16> {
    error.status().map(u16::from)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    shortened(&text)
}

fn shortened(text: &str) -> String {
    printable(&text.chars().take(MAX_KEPT).collect::<String>())
}

#[cfg(test)]
mod tests;
