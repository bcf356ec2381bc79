//! Any bytes as the SFTP server's log lines, as names in them, and as sshd's lines about logins.

use jiff::{SignedDuration, Timestamp};
use sftp_import::audit::logged_name::encode_bytes;
use sftp_import::audit::refused_logins::PER_ACCOUNT_AND_MINUTE;
use sftp_import::audit::sftp_server_log::{ServerMessage, parse};
use sftp_import::audit::{LogLine, Login, RefusedLogins, SessionTracker, upload_outcome};
use sftp_import::sanitize::printable;

/// Inputs to begin with: lines, each to be sent by one account.
pub const SEEDS: &[&[u8]] = &[
    b"session opened for local user acme from [192.0.2.7]",
    b"open \"/incoming/e.csv\" flags WRITE,CREATE,TRUNCATE mode 0644\x00close \"/incoming/e.csv\" bytes read 0 written 6",
    b"forced close \"e.csv\" bytes read 0 written 6\x00rename old \"e.csv\" new \"f.csv\"\x00sent status Failure",
    b"posix-rename old \"a\" new \"b\" new \"c\"\x00remove name \"c\"\x00set \"a\" mode 0600",
    b"\"q\" bytes read 0 written 7.csv",
    b"Failed publickey for acme from 192.0.2.7 port 1 ssh2: ED25519 SHA256:yEe0d7fDlttVYiVjzN6MwUQEASdG3l+QOqwIF7Jzrh8\x00Accepted publickey for acme from 192.0.2.7 port 1 ssh2: ED25519 SHA256:yEe0d7fDlttVYiVjzN6MwUQEASdG3l+QOqwIF7Jzrh9",
    b"Failed publickey for invalid user acme from ::1 port 1 ssh2: RSA SHA256:yEe0d7fDlttVYiVjzN6MwUQEASdG3l+QOqwIF7Jzrh8",
    b"{\"MESSAGE\":\"Failed publickey for acme from ::1 port 1 ssh2: RSA SHA256:yEe0d7fDlttVYiVjzN6MwUQEASdG3l+QOqwIF7Jzrh8\",\"_UID\":\"0\",\"__REALTIME_TIMESTAMP\":\"1767225600123456\"}",
];

/// Sends lines, then closes a file called as the bytes say, then logs in.
pub fn run(bytes: &[u8]) {
    sends(bytes);
    names(bytes);
    logins(bytes);
}

/// Lines or journal entries, with zero bytes between. What is counted can be printed, and a log that
/// is read again changes nothing.
fn logins(bytes: &[u8]) {
    let mut at = Timestamp::UNIX_EPOCH;
    let mut found = Vec::new();
    for line in bytes.split(|byte| *byte == 0) {
        at += SignedDuration::from_millis(1);
        found.extend(Login::from_journal(line));
        let text = std::str::from_utf8(line).ok();
        found.extend(text.and_then(|text| Login::from_message(text, at)));
    }
    let mut refused = RefusedLogins::new(Timestamp::UNIX_EPOCH);
    let now = Timestamp::MAX - SignedDuration::from_hours(1);
    found.iter().for_each(|login| refused.record(login.clone(), now));
    let later = now + SignedDuration::from_mins(1);
    let keys = refused.drain(later).keys;
    let times: u64 = keys.iter().map(|key| u64::from(key.times)).sum();
    let refusals = found.iter().filter(|login| !login.is_accepted).count();
    assert!(times <= refusals as u64, "{times} of {refusals}");
    assert!(!refused.has_pending());
    if refusals <= PER_ACCOUNT_AND_MINUTE {
        found.into_iter().for_each(|login| refused.record(login, later));
        assert_eq!(refused.drain(later + SignedDuration::from_mins(1)).keys, []);
    }
    for key in keys {
        let text = format!("{} {} {}", key.fingerprint, key.address, key.algorithm);
        assert!(text.len() < 200 && text.is_ascii() && printable(&text) == text, "{text:?}");
        assert!(!text.contains(['\'', '"', '`', '$', '\\', ';']), "{text:?}");
    }
}

/// Lines, with zero bytes between: what is known of files stays bounded.
fn sends(bytes: &[u8]) {
    let account: sftp_import::account::AccountId = "acme".parse().expect("an account's id");
    let mut ledger = SessionTracker::new(1..=9);
    ledger.set_accounts([(1, account.clone())].into_iter());
    let mut at = Timestamp::UNIX_EPOCH;
    for message in bytes.split(|byte| *byte == 0) {
        at += SignedDuration::from_millis(1);
        let bytes = [b"<38> internal-sftp[7]: ", message].concat();
        ledger.process(LogLine { uid: 1, pid: 7, at, bytes });
    }
    let known = ledger.drain_updates(at).iter().map(|page| page.changes.names.len()).sum::<usize>();
    assert!(known <= upload_outcome::MAX_OUTCOMES.min(2 * bytes.len() + 2), "{known}");
}

/// The name is found whatever it is, or its beginning.
fn names(bytes: &[u8]) {
    let name = encode_bytes(bytes);
    let mut message = format!("forced close \"{name}\" bytes read 1 written 2");
    message.truncate(sftp_import::audit::sftp_server_log::MAX_MESSAGE);
    let datagram = format!("<38> internal-sftp[7]: {message}");
    let Some(ServerMessage::Closed { path, bytes, forced: true }) = parse(datagram.as_bytes())
    else {
        panic!("{datagram}")
    };
    if path.cut {
        assert!(name.starts_with(path.text) || path.text.starts_with(&name), "{datagram}");
    } else {
        assert_eq!((path.text, bytes.map(|b| b.written)), (&*name, Some(2)), "{datagram}");
    }
}
