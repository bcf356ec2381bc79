//! The section `[mail]` of the configuration file sets how mail is sent. This module also parses
//! the key `url`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use url::Url;

use crate::config::{Period, Size};

/// The section `[mail]` of the configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mail {
    /// The URL of the mail server, parsed by [`Mail::server`]. If the URL is empty, no mail is
    /// sent.
    pub url: String,
    /// The path of the file whose first line is the password of the user in `url`.
    pub password_file: Option<PathBuf>,
    /// The name of a systemd credential with the password (systemd.exec(5)). The credential
    /// replaces `password_file`.
    pub password_credential: Option<String>,
    /// The path of a PEM file with certificate authorities. They are trusted in addition to the
    /// host's authorities.
    pub ca_file: Option<PathBuf>,
    /// The sender of all mails, in the syntax of a `From:` header.
    pub from: String,
    /// An error file larger than this size is compressed with gzip before it is attached.
    pub gzip_over: Size,
    /// An error file that is larger than this size after compression is not attached. The mail then
    /// contains the path of the file in results/.
    pub attach_up_to: Size,
    /// The delay of the mail about an ended import. One mail then reports all imports that end
    /// during the delay. Zero means one mail per import.
    pub digest: Period,
    /// The maximum number of mails per hour to one address, for all accounts. Further mails are
    /// delayed and combined into one mail. Zero means no limit.
    pub max_hourly_to_address: u32,
    /// The maximum number of mails per hour for one account, to all addresses. Zero means no limit.
    pub max_hourly_of_account: u32,
    /// The maximum wait for an answer of the SMTP server, and the maximum run time of sendmail.
    pub timeout: Period,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            url: "smtp://127.0.0.1:25".into(),
            password_file: None,
            password_credential: None,
            ca_file: None,
            from: "Data imports <imports@localhost>".into(),
            gzip_over: Size::mb(1),
            attach_up_to: Size::mb(8),
            digest: Period::seconds(0),
            max_hourly_to_address: 60,
            max_hourly_of_account: 600,
            timeout: Period::seconds(60),
        }
    }
}

/// The server or program that accepts mail from the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailServer {
    /// The configuration disables mail, so that no mail is sent.
    Off,
    Smtp(Smtp),
    /// Mails are written to the standard input of a program such as sendmail.
    Sendmail(PathBuf),
}

/// The connection settings of an SMTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smtp {
    /// The host name or IP address of the server, without brackets.
    pub host: String,
    /// The port of the server. The default is 25 in general, 587 with STARTTLS, and 465 with TLS.
    pub port: u16,
    pub tls: Tls,
    /// The name of the user for the login at the server. `None` if mail is sent without a login.
    pub user: Option<String>,
    /// The host name that is sent in EHLO. `None` if the name of this host is sent.
    pub hello: Option<String>,
}

/// The encryption of an SMTP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// The connection is never encrypted.
    No,
    /// STARTTLS is used if the server offers it. An attacker between both hosts can suppress the
    /// offer.
    IfOffered,
    /// STARTTLS is required. No mail is sent without STARTTLS.
    StartTls,
    /// The connection uses TLS from the first byte.
    Implicit,
}

impl Mail {
    /// Parses `url`. Valid forms are `smtp://host:port`, `smtp://…?tls=required` (STARTTLS),
    /// `smtps://user@host`, `sendmail:/path` and an empty text. The error is a predicate whose
    /// subject is `url`.
    pub fn server(&self) -> Result<MailServer, String> {
        if self.url.is_empty() {
            return Ok(MailServer::Off);
        }
        if let Some(path) = self.url.strip_prefix("sendmail:") {
            let absolute = Path::new(path).is_absolute();
            let path = absolute.then(|| MailServer::Sendmail(path.into()));
            return path.ok_or_else(|| "must contain an absolute path after sendmail:".into());
        }
        let url: Url = self.url.parse().map_err(|error| format!("is not a URL: {error}"))?;
        smtp(&url).map(MailServer::Smtp)
    }

    /// Returns the path of the file with the password. `None` if no password is configured.
    /// `credentials` is the folder of the systemd credentials.
    pub fn password_path(&self, credentials: Option<PathBuf>) -> Result<Option<PathBuf>, String> {
        match &self.password_credential {
            Some(name) => credentials.map(|folder| Some(folder.join(name))).ok_or_else(|| {
                format!("the credential {name} is not loaded: the unit needs LoadCredential=")
            }),
            None => Ok(self.password_file.clone()),
        }
    }

    /// Checks the section `[mail]`. The error contains the first invalid key and the reason.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let wrong = |key, problem: &str| Err((key, problem.to_owned()));
        if self.from.parse::<lettre::message::Mailbox>().is_err() {
            return wrong("mail.from", "must be an address such as Imports <imports@example.com>");
        }
        let server = self.server().map_err(|problem| ("mail.url", problem))?;
        let has_password = self.password_file.is_some() || self.password_credential.is_some();
        if self.password_file.is_some() && self.password_credential.is_some() {
            return wrong(
                "mail.password-credential",
                "can't be set if mail.password-file is also set",
            );
        }
        if self.password_credential.as_ref().is_some_and(|n| n.is_empty() || n.contains('/')) {
            return wrong("mail.password-credential", "must be a credential's name, not a path");
        }
        match server {
            MailServer::Smtp(Smtp { user: Some(_), .. }) if !has_password => {
                wrong("mail.url", "contains a user; set password-file or password-credential too")
            }
            MailServer::Smtp(Smtp { user: Some(_), host, tls, .. })
                if matches!(tls, Tls::No | Tls::IfOffered) && !is_loopback(&host) =>
            {
                wrong(
                    "mail.url",
                    "would send a password unencrypted: use smtps:// or ?tls=required",
                )
            }
            MailServer::Smtp(Smtp { user: Some(_), .. }) => Ok(()),
            _ if has_password => wrong("mail.url", "contains no user for the password"),
            _ => Ok(()),
        }
    }
}

fn smtp(url: &Url) -> Result<Smtp, String> {
    let tls = url.query_pairs().find(|(key, _)| key == "tls").map(|(_, value)| value.into_owned());
    let (tls, port) = match (url.scheme(), tls.as_deref()) {
        ("smtp", None) => (Tls::No, 25),
        ("smtp", Some("opportunistic")) => (Tls::IfOffered, 587),
        ("smtp", Some("required")) => (Tls::StartTls, 587),
        ("smtps", None) => (Tls::Implicit, 465),
        ("smtp", Some(_)) => {
            return Err("has a tls= value that is neither required nor opportunistic".into());
        }
        _ => return Err("must be smtp://, smtps:// or sendmail:/path".into()),
    };
    if url.password().is_some() {
        return Err("contains a password; put it into password-file or password-credential".into());
    }
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or("contains no host")?;
    let user = Some(url.username()).filter(|user| !user.is_empty());
    let user =
        user.map(|user| percent_decoded(user).ok_or("contains a user that can't be decoded"));
    let hello = Some(url.path().trim_matches('/')).filter(|name| !name.is_empty());
    Ok(Smtp {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: url.port().unwrap_or(port),
        tls,
        user: user.transpose()?,
        hello: hello.map(str::to_owned),
    })
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(after.get(..2)?, 16).ok()?);
        rest = &after[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(url: &str) -> Mail {
        Mail { url: url.into(), ..Mail::default() }
    }

    #[test]
    fn parses_mail_urls() {
        let smtp = |host: &str, port, tls, user: Option<&str>| {
            let (host, user) = (host.to_owned(), user.map(str::to_owned));
            MailServer::Smtp(Smtp { host, port, tls, user, hello: None })
        };
        for (url, expected) in [
            ("", MailServer::Off),
            ("smtp://127.0.0.1:25", smtp("127.0.0.1", 25, Tls::No, None)),
            ("smtp://[::1]", smtp("::1", 25, Tls::No, None)),
            ("smtp://mail?tls=required", smtp("mail", 587, Tls::StartTls, None)),
            ("smtp://mail:2525/?tls=opportunistic", smtp("mail", 2525, Tls::IfOffered, None)),
            ("smtps://a%40b.example@mail", smtp("mail", 465, Tls::Implicit, Some("a@b.example"))),
            ("smtps://%c3%a9@mail", smtp("mail", 465, Tls::Implicit, Some("é"))),
            ("sendmail:/usr/sbin/sendmail", MailServer::Sendmail("/usr/sbin/sendmail".into())),
        ] {
            assert_eq!(mail(url).server(), Ok(expected), "{url}");
        }
    }

    #[test]
    fn invalid_mail_urls_are_refused() {
        for (url, why) in [
            ("mail.example.com", "is not a URL"),
            ("http://mail", "must be smtp://"),
            ("smtp://", "contains no host"),
            ("smtp://mail:99999", "is not a URL"),
            ("smtp://mail?tls=yes", "has a tls= value"),
            ("smtps://%zz@mail", "contains a user"),
            ("smtps://a:b@mail", "contains a password"),
            ("smtps://a@mail", "contains a user; set password-file"),
            ("sendmail:sendmail", "must contain an absolute path"),
        ] {
            let (key, problem) = mail(url).check().unwrap_err();
            assert!(key == "mail.url" && problem.starts_with(why), "{url}: {problem}");
        }
        let with_file = |url| Mail { password_file: Some("/p".into()), ..mail(url) }.check();
        for (url, why) in [
            ("smtp://a@mail", "would send a password unencrypted"),
            ("smtp://a@mail?tls=opportunistic", "would send a password unencrypted"),
            ("smtp://mail", "contains no user"),
            ("", "contains no user"),
        ] {
            assert!(with_file(url).unwrap_err().1.starts_with(why), "{url}");
        }
        for url in ["smtp://a@127.0.0.1", "smtp://a@mail?tls=required", "smtps://a@mail"] {
            assert_eq!(with_file(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn the_mail_password_comes_from_file_or_credential() {
        let named = Mail { password_credential: Some("smtp".into()), ..Mail::default() };
        let path = named.password_path(Some("/run/credentials/x".into()));
        assert_eq!(path, Ok(Some("/run/credentials/x/smtp".into())));
        assert!(named.password_path(None).unwrap_err().contains("LoadCredential="));
        let file = Mail { password_file: Some("/p".into()), ..Mail::default() };
        assert_eq!(file.password_path(None), Ok(Some("/p".into())));
    }
}
