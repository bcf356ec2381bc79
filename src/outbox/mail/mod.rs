//! [`Mailer`]: sends mail through the server that `[mail]` configures.
//!
//! A second attempt sends the same Message-ID, Date and boundaries, so that a server can detect a
//! mail that it already has. Every attempt opens a new connection and reads the password file
//! again.

pub mod attachment;
pub(super) mod message;
pub(super) mod rate_limit;
pub(super) mod sample_records;
mod sendmail;
pub(super) mod text;
mod transport;

use lettre::transport::smtp::Error as SmtpError;

use attachment::Enclosure;
use message::{MailDraft, build};
use transport::{MailTransport, SendError};

use super::retry::AttemptOutcome;
use crate::config::{Mail, Period};
use crate::sanitize::{chain, printable_start};

/// The maximum number of characters of a mail server's answer that are stored.
const MAX_KEPT: usize = 300;

/// The timeout of [`greet_mail_server`], in seconds. The timeout is short, because a person waits
/// for the result.
const GREETING_WITHIN: u64 = 15;

/// Connects to the mail server of `config` and logs in. Sends no mail.
///
/// # Errors
/// Returns the reason why mail can't be sent.
pub fn greet_mail_server(config: &Mail) -> Result<(), String> {
    let timeout = Period::seconds(config.timeout.get().as_secs().min(GREETING_WITHIN));
    let config = Mail { timeout, ..config.clone() };
    MailTransport::new(&config).greet().map_err(|error| chain(&error))
}

#[derive(Clone, Debug)]
pub(super) struct Mailer {
    transport: MailTransport,
    from: String,
}

impl Mailer {
    pub(super) fn new(config: &Mail) -> Self {
        Self { transport: MailTransport::new(config), from: config.from.clone() }
    }

    /// Sends `draft`.
    ///
    /// If the server rejects the mail's size, sends the mail once more without attachments. The
    /// partner then still gets the report and the error file's name.
    pub(super) fn send(&self, draft: &MailDraft<'_>) -> AttemptOutcome {
        if self.transport.is_off() {
            return AttemptOutcome::NoMail;
        }
        let mut sent = self.send_once(draft);
        let is_too_large = sent.as_ref().is_err_and(is_too_large);
        if is_too_large && draft.error_files.iter().any(Enclosure::is_attached) {
            let error_files = draft.error_files.iter().map(Enclosure::detached).collect();
            sent = self.send_once(&MailDraft { error_files, ..*draft });
        }
        sent.map_or_else(|error| judge(&error), AttemptOutcome::Delivered)
    }

    fn send_once(&self, draft: &MailDraft<'_>) -> Result<String, SendError> {
        let message = build(&self.from, draft)?;
        Ok(printable_start(&self.transport.send(&message)?, MAX_KEPT))
    }
}

/// Returns the outcome of a failure to send.
///
/// A mail that can't be built is given up. Answers of 4xx, failures of the connection and errors in
/// this host's configuration are temporary. Failures of authentication (RFC 4954) are temporary
/// too, although their codes are 5xx: the mail is not their cause.
fn judge(error: &SendError) -> AttemptOutcome {
    let why = printable_start(&chain(error), MAX_KEPT);
    match error {
        SendError::Build(_) => AttemptOutcome::Never(why),
        SendError::Sendmail(e) if e.is_final() => AttemptOutcome::Never(why),
        SendError::Smtp(e) if e.is_permanent() => match code(e) {
            Some(530 | 534 | 535 | 538) => AttemptOutcome::later(why),
            _ => AttemptOutcome::Never(why),
        },
        _ => AttemptOutcome::later(why),
    }
}

/// Reports whether the server rejected a mail because of its size (RFC 1870, sections 6.1 and
/// 6.3).
fn is_too_large(error: &SendError) -> bool {
    matches!(error, SendError::Smtp(e) if e.is_permanent() && code(e) == Some(552))
}

fn code(error: &SmtpError) -> Option<u16> {
    error.status().map(u16::from)
}

#[cfg(test)]
mod tests;
