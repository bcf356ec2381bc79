//! Any bytes as the SFTP server's log lines, and as names in them.

use jiff::{SignedDuration, Timestamp};
use sftp_import::audit::logged_name::encode_bytes;
use sftp_import::audit::sftp_server_log::{ServerMessage, parse};
use sftp_import::audit::{LogLine, SessionTracker, upload_outcome};

/// Inputs to begin with: lines, each to be sent by one account.
pub const SEEDS: &[&[u8]] = &[
    b"session opened for local user acme from [192.0.2.7]",
    b"open \"/incoming/e.csv\" flags WRITE,CREATE,TRUNCATE mode 0644\x00close \"/incoming/e.csv\" bytes read 0 written 6",
    b"forced close \"e.csv\" bytes read 0 written 6\x00rename old \"e.csv\" new \"f.csv\"\x00sent status Failure",
    b"posix-rename old \"a\" new \"b\" new \"c\"\x00remove name \"c\"\x00set \"a\" mode 0600",
    b"\"q\" bytes read 0 written 7.csv",
];

/// Sends lines, then closes a file called as the bytes say.
pub fn run(bytes: &[u8]) {
    sends(bytes);
    names(bytes);
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
