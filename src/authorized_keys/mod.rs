//! The helper of sshd, configured as `AuthorizedKeysCommand … %u %f`. sshd runs the helper for
//! every key that a client offers.
//!
//! The helper prints the matching line of authorized_keys, or nothing if no key matches. Exit
//! status 0 means that the answer is right, even if no key matches. After a failure the helper
//! prints nothing, logs the reason to syslog (sshd discards standard error), and exits with
//! status 1. After wrong arguments the status is 2. The helper writes no file. It reads only the
//! file of published keys, and only if nobody but root can write to that file.

pub mod line;
pub mod lookup;
mod syslog;
pub mod trust;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::account::AccountId;

/// The path of the database of published keys if `--database` is not given.
pub const DEFAULT_DATABASE: &str = "/var/lib/sftp-import-keys/keys.db";

const USAGE: &str = "usage: sftp-import-authorized-keys [--database FILE] USER FINGERPRINT";

/// The arguments that sshd passes to the helper.
#[derive(Debug, PartialEq, Eq)]
struct KeyQuery {
    database: PathBuf,
    user: OsString,
    fingerprint: OsString,
}

/// The reason why the helper can't answer.
#[derive(Debug)]
enum HelperError {
    Usage,
    Untrusted(trust::Error),
    Lookup(lookup::Error),
    Line(line::InvalidKeyPart),
    Write(io::Error),
}

impl fmt::Display for HelperError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage => f.write_str(USAGE),
            Self::Untrusted(error) => write!(f, "cannot read the published keys: {error}"),
            Self::Lookup(error) => error.fmt(f),
            Self::Line(error) => error.fmt(f),
            Self::Write(error) => write!(f, "cannot print the key: {error}"),
        }
    }
}

/// Runs the helper with `arguments`, which exclude the program's name.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let result =
        parse_arguments(arguments).and_then(|query| find_line(&query)).and_then(print_line);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            syslog::error(&error.to_string());
            ExitCode::from(if matches!(error, HelperError::Usage) { 2 } else { 1 })
        }
    }
}

/// Parses the command's arguments `[--database FILE] USER FINGERPRINT`.
fn parse_arguments(mut arguments: impl Iterator<Item = OsString>) -> Result<KeyQuery, HelperError> {
    let mut next = || arguments.next().ok_or(HelperError::Usage);
    let mut user = next()?;
    let mut database = PathBuf::from(DEFAULT_DATABASE);
    if user == "--database" {
        database = next()?.into();
        user = next()?;
    }
    let fingerprint = next()?;
    let option = user.as_encoded_bytes().starts_with(b"-");
    if option || arguments.next().is_some() {
        return Err(HelperError::Usage);
    }
    Ok(KeyQuery { database, user, fingerprint })
}

/// Returns the line with the key for sshd. `None` if the account has no such key, or if the key has
/// expired.
fn find_line(query: &KeyQuery) -> Result<Option<String>, HelperError> {
    // sshd runs the helper for every user of the host. A user name that is not a valid account id
    // has no key.
    let account = query.user.to_str().and_then(|user| user.parse::<AccountId>().ok());
    let (Some(account), Some(fingerprint)) = (account, query.fingerprint.to_str()) else {
        return Ok(None);
    };
    // A system time before 1970 is treated as 1970.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let database =
        trust::check_file(&query.database, trust::ROOT).map_err(HelperError::Untrusted)?;
    let key =
        lookup::find_key(&database, &account, fingerprint, now).map_err(HelperError::Lookup)?;
    key.map(|key| line::format_key_line(&key)).transpose().map_err(HelperError::Line)
}

/// Prints the line with the key, if there is one. A closed pipe is not a failure, because sshd may
/// close the pipe at any time.
fn print_line(line: Option<String>) -> Result<(), HelperError> {
    let Some(line) = line else { return Ok(()) };
    let mut stdout = io::stdout().lock();
    match stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(HelperError::Write(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse_words(words: &[&str]) -> Result<KeyQuery, HelperError> {
        parse_arguments(words.iter().map(OsString::from))
    }

    #[test]
    fn helper_parses_the_arguments_from_sshd() {
        let query = parse_words(&["acme", "SHA256:x"]).unwrap();
        assert_eq!(query.database, Path::new(DEFAULT_DATABASE));
        let query = parse_words(&["--database", "/x", "acme", "SHA256:x"]).unwrap();
        assert_eq!((query.database, query.user), ("/x".into(), "acme".into()));
    }

    #[test]
    fn helper_refuses_invalid_arguments() {
        for words in [
            &[][..],
            &["acme"],
            &["acme", "SHA256:x", "more"],
            &["--database"],
            &["--database", "/x"],
            &["--database", "/x", "acme"],
            &["--help", "x"],
        ] {
            assert!(matches!(parse_words(words), Err(HelperError::Usage)), "{words:?}");
        }
    }
}
