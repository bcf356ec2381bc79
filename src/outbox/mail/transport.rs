//! Sends a mail to an SMTP server, or to a local sendmail.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lettre::message::Message;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls as LettreTls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{SmtpTransport, Transport as _};

use super::message::BuildError;
use super::sendmail::{self, SendmailError};
use crate::config::{Mail, MailServer, Smtp, Tls};
use crate::files::error::IoError;

/// The reason why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error("[mail] url {0}")]
    Url(String),
    #[error("[mail] url is empty")]
    Off,
    #[error("the mail server in [mail] url closed the connection early")]
    Disconnected,
    #[error("[mail] password-credential: {0}")]
    Credential(String),
    #[error("[mail] url names a user, but no password is configured")]
    NoPassword,
    #[error(transparent)]
    Io(#[from] IoError),
    #[error(transparent)]
    Sendmail(#[from] SendmailError),
    #[error("{0}")] // the Display of SmtpError includes its sources
    Smtp(SmtpError),
}

impl From<SmtpError> for SendError {
    fn from(error: SmtpError) -> Self {
        Self::Smtp(error)
    }
}

/// The mail transport that the configuration chooses for this host.
#[derive(Clone, Debug)]
pub(super) struct MailTransport {
    config: Mail,
    server: Result<MailServer, String>,
}

impl MailTransport {
    pub(super) fn new(config: &Mail) -> Self {
        Self { config: config.clone(), server: config.server() }
    }

    /// Reports whether mail is switched off.
    pub(super) fn is_off(&self) -> bool {
        self.server == Ok(MailServer::Off)
    }

    /// Sends a mail. Returns the answer of the server.
    pub(super) fn send(&self, message: &Message) -> Result<String, SendError> {
        match &self.server {
            Err(problem) => Err(SendError::Url(problem.clone())),
            Ok(MailServer::Off) => Err(SendError::Off),
            Ok(MailServer::Sendmail(program)) => {
                sendmail::send(program, message, self.config.timeout.get())?;
                Ok(format!("accepted by {}", program.display()))
            }
            Ok(MailServer::Smtp(server)) => {
                let answer = self.smtp(server)?.send(message)?;
                let text = answer.message().collect::<Vec<_>>().join(" ");
                Ok(format!("{} {text}", answer.code()))
            }
        }
    }

    /// Connects to the mail server, negotiates TLS and logs in, as [`MailTransport::send`] does.
    /// Sends no mail.
    pub(super) fn greet(&self) -> Result<(), SendError> {
        match &self.server {
            Err(problem) => Err(SendError::Url(problem.clone())),
            Ok(MailServer::Off | MailServer::Sendmail(_)) => Ok(()),
            Ok(MailServer::Smtp(server)) => match self.smtp(server)?.test_connection()? {
                true => Ok(()),
                false => Err(SendError::Disconnected),
            },
        }
    }

    fn smtp(&self, server: &Smtp) -> Result<SmtpTransport, SendError> {
        // `Mail::check` has checked the host.
        let mut builder = SmtpTransport::builder_dangerous(&server.host)
            .port(server.port)
            .timeout(Some(self.config.timeout.get()))
            .tls(self.tls(server)?);
        if let Some(name) = &server.hello {
            builder = builder.hello_name(ClientId::Domain(name.clone()));
        }
        if let Some(user) = &server.user {
            let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
            let path = self.config.password_path(credentials).map_err(SendError::Credential)?;
            let password = password(&path.ok_or(SendError::NoPassword)?)?;
            builder = builder.credentials(Credentials::new(user.clone(), password));
        }
        Ok(builder.build())
    }

    fn tls(&self, server: &Smtp) -> Result<LettreTls, SendError> {
        if server.tls == Tls::No {
            return Ok(LettreTls::None);
        }
        let mut parameters = TlsParameters::builder(server.host.clone());
        if let Some(path) = &self.config.ca_file {
            let authority = fs::read(path).and_then(|pem| {
                Certificate::from_pem(&pem)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
            });
            let authority = authority.map_err(IoError::of("use [mail] ca-file", path))?;
            parameters = parameters.add_root_certificate(authority);
        }
        let parameters = parameters.build()?;
        Ok(match server.tls {
            Tls::No => LettreTls::None,
            Tls::IfOffered => LettreTls::Opportunistic(parameters),
            Tls::StartTls => LettreTls::Required(parameters),
            Tls::Implicit => LettreTls::Wrapper(parameters),
        })
    }
}

fn password(path: &Path) -> Result<String, SendError> {
    let content = fs::read_to_string(path).map_err(IoError::of("read the password", path))?;
    Ok(content.lines().next().unwrap_or_default().to_owned())
}
