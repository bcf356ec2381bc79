//! [`Login`] is a login with a key, as sshd logs it in the journal. This module does no I/O.
//!
//! Any local user can write a line that resembles a login. The parser therefore accepts only
//! entries whose trusted fields, set by journald (systemd.journal-fields(7)), name root's sshd as
//! the sender. A client can choose any user name, but sshd then writes `invalid user` before a name
//! that does not exist. The parser ignores such lines.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::account::AccountId;

/// A login to an account with a key, which sshd accepted or refused. A client can offer several
/// keys in one connection; each refused key is a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub at: Timestamp,
    pub account: AccountId,
    pub is_accepted: bool,
    /// The address of the client that logged in.
    pub from: String,
    /// The port of the client. The address and the port identify the connection.
    pub port: u16,
    /// The type of the key in sshd's spelling, such as `ED25519`.
    pub algorithm: String,
    /// The fingerprint of the key, in the form `SHA256:…`.
    pub fingerprint: String,
}

/// The time and the client's address of one login with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    pub at: Timestamp,
    /// The address of the client that used the key.
    pub from: String,
}

/// The fields of a journal entry (`journalctl --output=json`) that the audit of logins uses.
#[derive(Deserialize)]
struct JournalEntry {
    #[serde(rename = "MESSAGE")]
    message: Value,
    #[serde(rename = "_UID")]
    uid: Value,
    #[serde(rename = "_EXE")]
    program: Option<Value>,
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    micros: String,
}

impl Login {
    /// Parses a journal entry in JSON. Returns `None` if the entry is not a login by key.
    pub fn from_journal(entry: &[u8]) -> Option<Self> {
        let entry: JournalEntry = serde_json::from_slice(entry).ok()?;
        let is_sshd = text(&entry.uid)? == "0" && is_sshd(entry.program.as_ref().and_then(text));
        // The time is rounded down to milliseconds, because the state database stores milliseconds.
        // Therefore an entry that is read again has the same time as the stored entry.
        let at = Timestamp::from_millisecond(entry.micros.parse::<i64>().ok()? / 1000).ok()?;
        is_sshd.then(|| Self::from_message(&text(&entry.message)?, at)).flatten()
    }

    /// Parses a message in the form `Accepted publickey for X from IP port P ssh2: ED25519
    /// SHA256:…`, or the same line with `Failed` (auth.c, `auth_log`). sshd logs refused keys at
    /// LogLevel VERBOSE and above.
    pub fn from_message(message: &str, at: Timestamp) -> Option<Self> {
        let (outcome, rest) = message.split_once(" publickey for ")?;
        let is_accepted = match outcome {
            "Accepted" => true,
            "Failed" => false,
            _ => return None,
        };
        let words: Vec<&str> = rest.split(' ').collect();
        let [account, "from", from, "port", port, "ssh2:", algorithm, fingerprint] = words[..]
        else {
            return None;
        };
        let is_plain = is_short(from, b".:%-_") && is_short(algorithm, b"-");
        (is_plain && is_fingerprint(fingerprint)).then_some(())?;
        Some(Self {
            at,
            account: account.parse().ok()?,
            is_accepted,
            from: from.to_owned(),
            port: port.parse().ok()?,
            algorithm: algorithm.to_owned(),
            fingerprint: fingerprint.to_owned(),
        })
    }
}

/// The maximum length of an address and of an algorithm in bytes.
const MAX_WORD: usize = 64;

/// Returns whether `word` has at most [`MAX_WORD`] bytes, which are ASCII letters, digits or one of
/// `others`.
fn is_short(word: &str, others: &[u8]) -> bool {
    let belongs = |byte: u8| byte.is_ascii_alphanumeric() || others.contains(&byte);
    (1..=MAX_WORD).contains(&word.len()) && word.bytes().all(belongs)
}

/// Returns whether `word` is `SHA256:` and the Base64 of 32 bytes without padding.
fn is_fingerprint(word: &str) -> bool {
    let belongs = |byte: u8| byte.is_ascii_alphanumeric() || b"+/".contains(&byte);
    word.strip_prefix("SHA256:").is_some_and(|hash| hash.len() == 43 && hash.bytes().all(belongs))
}

/// Returns whether `program` is `sshd` or `sshd-session` (OpenSSH 9.8 and later), below /usr, where
/// only root can install programs. `None` counts as sshd, because journald can't read the path of a
/// process that has already ended.
fn is_sshd(program: Option<String>) -> bool {
    program.is_none_or(|path| {
        let name = path.rsplit('/').next().unwrap_or_default().trim_end_matches(" (deleted)");
        path.starts_with("/usr/") && ["sshd", "sshd-session"].contains(&name)
    })
}

/// Returns a field's text. The journal writes text that is not printable UTF-8 as an array of
/// bytes.
fn text(field: &Value) -> Option<String> {
    match field {
        Value::String(text) => Some(text.clone()),
        Value::Array(bytes) => {
            let byte = |value: &Value| u8::try_from(value.as_u64()?).ok();
            String::from_utf8(bytes.iter().map(byte).collect::<Option<_>>()?).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const MESSAGE: &str = "Accepted publickey for TEST-1 from 192.0.2.7 port 48926 ssh2: ED25519 \
                           SHA256:yEe0d7fDlttVYiVjzN6MwUQEASdG3l+QOqwIF7Jzrh8";

    fn entry(message: Value, uid: &str, program: Option<&str>) -> Option<Login> {
        let mut entry = json!({"MESSAGE": message, "_UID": uid, "_COMM": "sshd",
            "__REALTIME_TIMESTAMP": "1767225600123456", "__CURSOR": "s=1"});
        if let Some(program) = program {
            entry["_EXE"] = program.into();
        }
        Login::from_journal(entry.to_string().as_bytes())
    }

    #[test]
    fn parses_a_login_of_sshd() {
        let login = entry(MESSAGE.into(), "0", Some("/usr/sbin/sshd")).unwrap();
        assert_eq!((login.account.as_str(), login.from.as_str()), ("TEST-1", "192.0.2.7"));
        assert!(login.fingerprint.starts_with("SHA256:yEe0"));
        assert_eq!(login.at.as_microsecond(), 1_767_225_600_123_000);
        let bytes: Vec<u8> = MESSAGE.bytes().collect();
        assert_eq!(entry(json!(bytes), "0", None), Some(login));
        let new = "/usr/lib/openssh/sshd-session";
        assert!(entry(MESSAGE.into(), "0", Some(new)).is_some());
    }

    #[test]
    fn parses_a_refused_login() {
        let message = MESSAGE.replace("Accepted", "Failed");
        let login = entry(message.into(), "0", Some("/usr/sbin/sshd")).unwrap();
        let accepted = entry(MESSAGE.into(), "0", None).unwrap();
        assert_eq!((accepted.is_accepted, accepted.port), (true, 48926));
        assert_eq!(login, Login { is_accepted: false, ..accepted });
    }

    /// If a login is for a user that does not exist, the client may have chosen any text as the
    /// name.
    #[test]
    fn a_chosen_user_name_is_no_login() {
        let tail = MESSAGE.strip_prefix("Accepted publickey for ").unwrap();
        for name in ["TEST-1", "x", tail, &format!("x {tail}"), &format!("x\n{tail}")] {
            for outcome in ["Failed", "Postponed", "Partial"] {
                let line = format!("{outcome} publickey for invalid user {name} from {tail}");
                assert_eq!(entry(line.into(), "0", None), None);
            }
        }
    }

    #[test]
    fn rejects_entries_of_other_programs() {
        assert_eq!(entry(MESSAGE.into(), "1000", Some("/usr/sbin/sshd")), None);
        assert_eq!(entry(MESSAGE.into(), "0", Some("/usr/bin/sudo")), None);
        assert_eq!(entry(MESSAGE.into(), "0", Some("/tmp/sshd")), None);
        for message in [
            "Accepted password for TEST-1 from 192.0.2.7 port 48926 ssh2",
            "Failed publickey for TEST-1 from 192.0.2.7 port 1 ssh2: ED25519 SHA256:x",
            "Failed publickey for TEST-1 from 192.0.2.7 port 1 ssh2",
            &format!(
                "{} ID x (serial 0) CA ED25519 SHA256:x",
                MESSAGE.replace("ED25519", "ED25519-CERT")
            ),
            &MESSAGE.replace("192.0.2.7", "192.0.2.7\u{1b}[2J"),
            &MESSAGE.replace("192.0.2.7", &"1".repeat(65)),
            &MESSAGE.replace("ED25519", "ED25519'"),
            &MESSAGE.replace("yEe0", "yE\"0"),
            &MESSAGE.replace("yEe0", "yE\u{e9}"),
            "Invalid user Accepted publickey for TEST-1",
            &MESSAGE.replace("TEST-1", "root TEST-1"),
            &MESSAGE.replace("48926", "x"),
            &MESSAGE.replace("SHA256:", "MD5:"),
        ] {
            assert_eq!(entry(message.into(), "0", None), None, "{message}");
        }
    }

    proptest! {
        #[test]
        fn parser_accepts_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Login::from_journal(&bytes);
        }

        #[test]
        fn parser_accepts_any_message(message in "(Accepted|Failed) publickey for \\PC{0,100}") {
            let _ = Login::from_message(&message, Timestamp::UNIX_EPOCH);
        }
    }
}
