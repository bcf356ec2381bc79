//! Any bytes as what sshd asks about, and as damage to the published keys.

use std::path::PathBuf;
use std::sync::OnceLock;

use rusqlite::Connection;
use sftp_import::account::AccountId;
use sftp_import::authorized_keys::lookup::{SCHEMA, find_key};
use tempfile::TempDir;

use super::key::is_one_line;

/// Inputs to begin with.
pub const SEEDS: &[&[u8]] = &[
    b"acme\nSHA256:a",
    b"acme\nSHA256:b",
    b"8R5-4K5-466Z\nSHA256:a",
    b"ACME\nsha256:a\0",
    b"a' OR 1=1 --\n%",
    b"\xff\x00\x10\x01\x64\x02\x7f",
];

/// The keys that are published.
const PUBLISHED: [(&str, &str); 3] =
    [("acme", "SHA256:a"), ("acme", "SHA256:b"), ("8R5-4K5-466Z", "SHA256:a")];

struct Database {
    folder: TempDir,
    whole: PathBuf,
    bytes: Vec<u8>,
}

fn database() -> &'static Database {
    static DATABASE: OnceLock<Database> = OnceLock::new();
    DATABASE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder for the published keys");
        let whole = folder.path().join("keys.db");
        let connection = Connection::open(&whole).expect("opens");
        connection.execute_batch(SCHEMA).expect("takes the schema");
        for (account, fingerprint) in PUBLISHED {
            connection
                .execute(
                    "INSERT INTO key VALUES (?1, ?2, 'ssh-ed25519', 'AAAA', '192.0.2.1', 9999999999)",
                    [account, fingerprint],
                )
                .expect("takes a key");
        }
        connection.close().expect("closes");
        let bytes = std::fs::read(&whole).expect("reads");
        Database { folder, whole, bytes }
    })
}

/// Asks the published keys; then asks them again with bytes of theirs changed.
pub fn run(bytes: &[u8]) {
    asks(bytes);
    if bytes.first() == Some(&0xff) {
        asks_damaged(&bytes[1..]);
    }
}

/// An account, a newline, a fingerprint: the answer is the one key that has both, or none.
fn asks(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (account, fingerprint) = text.split_once('\n').unwrap_or((&text, ""));
    let Ok(account) = account.parse::<AccountId>() else { return };
    let found = find_key(&database().whole, &account, fingerprint, 0).expect("the keys are whole");
    let published = PUBLISHED.contains(&(account.as_str(), fingerprint));
    assert_eq!(found.is_some(), published, "{account} {fingerprint:?}");
    found.iter().for_each(|key| drop(is_one_line(key).expect("a published key has a line")));
}

/// Two bytes of a place and one of a change, again and again: an answer or an error, no panic, and
/// never more than one line.
fn asks_damaged(changes: &[u8]) {
    let Database { folder, bytes, .. } = database();
    let mut damaged = bytes.clone();
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % damaged.len();
        damaged[at] ^= change[2];
    }
    let path = folder.path().join("damaged.db");
    std::fs::write(&path, damaged).expect("writes");
    for (account, fingerprint) in PUBLISHED {
        let account = account.parse().expect("an account's id");
        if let Ok(Some(key)) = find_key(&path, &account, fingerprint, 0) {
            is_one_line(&key);
        }
    }
}
