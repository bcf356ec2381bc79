//! Tests of the entries that journald gets. On a host without a journal, the test provides the
//! journal's socket. On a host with a journal, the system test checks the same entries with
//! journalctl.

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;

use crate::support::admin::AdminSocket;
use crate::support::host::{Host, SOON, set_mode};
use crate::support::pair::Pair;
use crate::support::process::until;

/// The socket of journald (systemd.io/JOURNAL_NATIVE_PROTOCOL).
const SOCKET: &str = "/run/systemd/journal/socket";

/// Only one test at a time can have the socket.
static SOCKET_USE: Mutex<()> = Mutex::new(());

/// The replacement of journald's socket. Its path is removed on drop.
struct Journal {
    socket: UnixDatagram,
    _use: MutexGuard<'static, ()>,
}

impl Journal {
    /// Binds the socket. `None` if a journal runs on this host.
    fn bind() -> Option<Self> {
        let only_use = SOCKET_USE.lock().unwrap_or_else(PoisonError::into_inner);
        let path = Path::new(SOCKET);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        if path.exists() {
            if UnixDatagram::unbound().unwrap().connect(path).is_ok() {
                return None;
            }
            std::fs::remove_file(path).unwrap(); // left by a killed test
        }
        let socket = UnixDatagram::bind(path).unwrap();
        set_mode(path, 0o666);
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        Some(Self { socket, _use: only_use })
    }

    /// Returns the fields of the next entry. `None` if no entry arrives in time.
    fn next(&self) -> Option<BTreeMap<String, String>> {
        let mut buffer = vec![0; 256 * 1024];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(fields(&buffer[..length]))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(SOCKET);
    }
}

/// Parses the fields of an entry. A field is a line `KEY=value`, or `KEY` followed by a length in 8
/// bytes and the value.
fn fields(mut entry: &[u8]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    while let Some(end) = entry.iter().position(|byte| *byte == b'\n') {
        let line = String::from_utf8(entry[..end].to_vec()).unwrap();
        entry = &entry[end + 1..];
        let (key, value) = match line.split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => {
                let (length, rest) = entry.split_at(8);
                let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
                entry = &rest[length + 1..];
                (line, String::from_utf8(rest[..length].to_vec()).unwrap())
            }
        };
        fields.insert(key, value);
    }
    fields
}

#[test]
fn journal_entries_have_the_fields_of_milestones() {
    let Some(journal) = Journal::bind() else {
        eprintln!("SKIPPED: this host has a journal; scripts/system-test checks its entries");
        return;
    };
    let host = Host::new("");
    let account = host.account("e2e-journal");
    host.start_daemon_under(&["env", "JOURNAL_STREAM=1:1"]);
    let folder = account.local();
    account.upload(&Pair::events(&folder, "j1", 3));
    account.upload(&Pair::events_with(&folder, "j2", 1, &[0]));
    let mut entries = BTreeMap::new();
    until("four milestones in the journal", SOON, || {
        while let Some(entry) = journal.next() {
            if let Some(id) = entry.get("MESSAGE_ID").filter(|_| entry.contains_key("IMPORT")) {
                entries.insert((entry["IMPORT"].clone(), id.clone()), entry.clone());
            }
        }
        (entries.len() == 4).then_some(())
    });
    let imports = host.query("SELECT id FROM import ORDER BY n");
    let entry = |import: usize, id: &str| &entries[&(imports[import].clone(), id.to_owned())];
    let picked_up = "0d1b3c9ae6a24f0c9d3f6a5be9f3a7c1";
    let ends = [
        (0, "a94c6e1f3b7d4a28b5d0e8c71f42d9b3", "completed: 3 read, 3 accepted, 0 rejected"),
        (1, "c7e80b52d91f4e6fa3b6495c8e20f1d4", "failed: 1 read, 0 accepted, 1 rejected"),
    ];
    for (import, id, words) in ends {
        let begun = entry(import, picked_up);
        assert!(begun["MESSAGE"].ends_with("picked up"), "{begun:#?}");
        let ended = entry(import, id);
        assert_eq!((ended["ACCOUNT"].as_str(), ended["PRIORITY"].as_str()), ("e2e-journal", "5"));
        assert_eq!(ended["SYSLOG_IDENTIFIER"], "sftp-importd");
        assert!(ended["MESSAGE"].ends_with(words), "{ended:#?}");
    }
}

/// Root's process must log each request of the console before and after its change. Texts of the
/// request must not add fields.
#[test]
fn journal_entries_have_the_fields_of_console_requests() {
    let Some(journal) = Journal::bind() else {
        eprintln!("SKIPPED: this host has a journal; scripts/system-test checks its entries");
        return;
    };
    let host = Host::new("");
    let admin = AdminSocket::start_with(&host, &["JOURNAL_STREAM=1:1"]);
    let next = || {
        until("an entry of the admin helper", SOON, || {
            // Programs of the system also write to the journal.
            let is_ours = |program: &String| program == "sftp-import-admin";
            journal.next().filter(|entry| entry.get("SYSLOG_IDENTIFIER").is_some_and(is_ours))
        })
    };
    let add = json!({"v": 1, "verb": "account.add", "id": "e2e-journal-admin", "by": "ops@acme.example",
        "contact": "ops@acme.example", "client": "203.0.113.9"});
    admin.change(&add);
    admin.ask(&add);
    admin.ask(&json!({"v": 1, "verb": "key.revoke", "account": "x\nVERB=key.save",
        "fingerprint": "SHA256:x", "by": "a\nBY=root"}));
    let add_id = "8c25e7b4a6f1493d80b9f37d5e1c04a6";
    for (outcome, priority) in
        [("requested", "5"), ("done", "5"), ("requested", "5"), ("conflict", "4")]
    {
        let entry = next();
        for (field, value) in [
            ("ACCOUNT", "e2e-journal-admin"),
            ("VERB", "account.add"),
            ("BY", "ops@acme.example"),
            ("CLIENT", "203.0.113.9"),
            ("MESSAGE_ID", add_id),
            ("OUTCOME", outcome),
            ("PRIORITY", priority),
        ] {
            assert_eq!(entry[field], value, "{field}: {entry:#?}");
        }
    }
    for outcome in ["requested", "invalid"] {
        let entry = next();
        assert_eq!(entry["OUTCOME"], outcome, "{entry:#?}");
        assert_eq!(entry["MESSAGE_ID"], "e61a0c97f3d84b25b87c4d90a1f5e26b");
        assert_eq!((entry["VERB"].as_str(), entry["CLIENT"].as_str()), ("key.revoke", "-"));
        assert_eq!(entry["BY"], "a\\u{a}BY=root", "{entry:#?}");
    }
}
