//! Tests of hostile files in incoming, which an account or root can create. The daemon must open no
//! such file, must not stop, and must not send control characters to a sysadmin's terminal. Other
//! uploads must be imported.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use serde_json::Value;

use crate::support::account::Account;
use crate::support::host::{Host, SOON, text};
use crate::support::pair::Pair;

fn impatient() -> Host {
    let host = Host::new("[pairing]\ndata-file-grace = \"0s\"\nmanifest-quiet-period = \"0s\"\n");
    host.start_daemon();
    host
}

fn manifest(data_file: &str, client_email: &str) -> String {
    let manifest = serde_json::json!({
        "fileName": data_file, "type": "event", "clientEmail": client_email,
        "columns": {"event_name": {"ctName": "evtName"}, "time_stamp": {"ctName": "ts"}},
    });
    manifest.to_string()
}

/// Creates a complete file that belongs to the account, like a client's rename.
fn put(account: &Account<'_>, name: &[u8], content: &[u8]) {
    let incoming = account.incoming();
    let temporary = incoming.join(".temporary");
    std::fs::write(&temporary, content).unwrap();
    account.give(&temporary);
    std::fs::rename(temporary, incoming.join(OsStr::from_bytes(name))).unwrap();
}

/// Creates every kind of file. Root creates the kinds that an account can't create.
fn odd_things(incoming: &Path, ending: &str) {
    let at = |name: &str| incoming.join(format!("{name}{ending}"));
    symlink("/etc/shadow", at("link")).unwrap();
    let original = incoming.join(format!("original-{}", ending.trim_start_matches('.')));
    std::fs::write(&original, "{}").unwrap();
    std::fs::hard_link(&original, at("hard")).unwrap();
    nix::unistd::mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
    drop(std::os::unix::net::UnixListener::bind(at("socket")).unwrap());
    // In a container without the right to create devices the call fails, and the test runs without
    // a device.
    let _ = mknod(&at("device"), SFlag::S_IFCHR, Mode::S_IRUSR, makedev(1, 5));
    std::fs::create_dir(at("folder")).unwrap();
    let mut deep = at("deep");
    for _ in 0..200 {
        deep.push("d");
    }
    std::fs::create_dir_all(deep).unwrap();
}

/// Each manifest names a file that is not regular, and is refused. The next pair is imported.
#[test]
fn files_that_are_not_regular_are_refused() {
    let host = impatient();
    let account = host.account("e2e-odd");
    let incoming = account.incoming();
    odd_things(&incoming, ".csv");
    odd_things(&incoming, ".manifest");
    let kinds = ["link", "hard", "fifo", "socket", "folder", "deep"];
    for kind in kinds {
        let name = format!("about-{kind}.manifest");
        put(
            &account,
            name.as_bytes(),
            manifest(&format!("{kind}.csv"), "p@example.com").as_bytes(),
        );
    }
    for kind in kinds {
        let report = account.report(&format!("about-{kind}"));
        assert_eq!(report["failure"]["message"], "File couldn't be read", "{report:#}");
    }
    for kind in ["link", "hard", "fifo", "socket"] {
        let report = account.report(kind); // here the manifest is not regular
        assert_eq!(report["failure"]["message"], "File couldn't be read", "{report:#}");
    }
    assert!(incoming.join("folder.manifest").is_dir(), "a folder must stay in incoming");
    assert!(Path::new("/etc/shadow").exists());
    account.import_all(&Pair::events(&account.local(), "honest", 2), 2);
}

/// The file belongs to the account and has the mode 000. The daemon must read the file
/// nevertheless.
#[test]
fn files_with_mode_000_are_imported() {
    let host = impatient();
    let account = host.account("e2e-closed");
    let pair = Pair::events(&account.local(), "e", 2);
    let (data, manifest) = (pair.data.display(), pair.manifest.display());
    let batch = format!(
        "put {data} e.csv\nchmod 000 e.csv\nput {manifest} .m\nchmod 000 .m\nrename .m e.manifest\n"
    );
    account.sftp(&batch).ok();
    account.expect_accepted(&pair, 2);
}

/// Manifests have every kind of name. A manifest with a usable name is answered, and every other
/// file stays unchanged.
#[test]
fn only_manifests_with_usable_names_are_answered() {
    let host = impatient();
    let account = host.account("e2e-names");
    let longest = format!("{}.manifest", "n".repeat(255 - ".manifest".len()));
    let usable =
        ["-rf.manifest", "é 日本.manifest", "$(id);`id`.manifest", "a..b.manifest", &longest];
    let unusable: [&[u8]; 4] =
        [b"\x1b[2J.manifest", b"a\nb.manifest", b"\xff\xfe.manifest", b"a\xc2\x9b2Jb.manifest"];
    for name in usable.iter().map(|name| name.as_bytes()).chain(unusable) {
        put(&account, name, manifest("nothing.csv", "p@example.com").as_bytes());
    }
    account.import_all(&Pair::events(&account.local(), "honest", 2), 2);
    host.wait_until_quiet(SOON);
    let answered = host.query("SELECT manifest FROM import WHERE state = 'failed' ORDER BY n");
    assert_eq!(answered.len(), usable.len(), "{answered:?}");
    assert!(usable.iter().all(|name| answered.contains(&(*name).to_owned())), "{answered:?}");
    for name in unusable {
        assert!(account.incoming().join(OsStr::from_bytes(name)).exists(), "{name:?}");
    }
}

/// The manifests are deeply nested, long, or have repeated keys. Each manifest gets an answer of
/// limited size.
#[test]
fn oversized_json_manifests_are_answered_within_limits() {
    let host = impatient();
    let account = host.account("e2e-bombs");
    let deep = format!("{}{}", "[".repeat(400_000), "]".repeat(400_000));
    let objects = "{\"a\":".repeat(150_000);
    let doubled = format!("{{{}\"type\":\"event\"}}", "\"type\":\"event\",".repeat(50_000));
    let keys: Vec<_> = (0..60_000).map(|n| format!("\"k{n}\":0")).collect();
    let keys = format!("{{{}}}", keys.join(","));
    let columns: Vec<_> = (0..30_000).map(|n| format!("\"c{n}\":{{\"dataType\":\"x\"}}")).collect();
    let columns = format!("{{\"columns\":{{{}}}}}", columns.join(","));
    let number = format!("{{\"size\":{}}}", "9".repeat(1_000_000));
    let large = " ".repeat(2 << 20);
    for (stem, text) in [
        ("deep", &deep),
        ("objects", &objects),
        ("doubled", &doubled),
        ("keys", &keys),
        ("columns", &columns),
        ("number", &number),
        ("large", &large),
    ] {
        put(&account, format!("{stem}.manifest").as_bytes(), text.as_bytes());
        let report = account.report(stem);
        assert_eq!(report["failure"]["message"], "Incorrect details in manifest file");
        let detail = report["failure"]["detail"].as_str().unwrap();
        assert!(detail.len() < 50_000, "{stem}: an answer of {} bytes", detail.len());
    }
    account.import_all(&Pair::events(&account.local(), "honest", 2), 2);
}

/// An address that could begin a header or name a second recipient must get no mail.
#[test]
fn mail_headers_are_not_injected() {
    let host = impatient();
    let account = host.account("e2e-mail-injection");
    let addresses = [
        "p@example.com\r\nBcc: victim@example.com",
        "p@example.com\nSubject: x",
        "p@example.com, victim@example.com",
        "p@example.com>,<victim@example.com",
        "\"a\r\nBcc: victim@example.com\"@example.com",
    ];
    for (n, address) in addresses.iter().enumerate() {
        let text = manifest("x.csv", address);
        put(&account, format!("m{n}.manifest").as_bytes(), text.as_bytes());
        let report = account.report(&format!("m{n}"));
        assert_eq!(report["failure"]["message"], "Incorrect details in manifest file", "{address}");
    }
    // The file name becomes part of the subject of a mail.
    let subject = manifest("x\r\nBcc: victim@example.com.csv", "p@example.com");
    put(&account, b"subject.manifest", subject.as_bytes());
    account.report("subject");
    account.import_all(&Pair::events(&account.local(), "honest", 2), 2);
    host.wait_until_quiet(SOON);
    let mails = host.catchers.mails();
    assert!(!mails.is_empty());
    for mail in mails {
        assert!(!mail.to.contains("victim"), "{mail:#?}");
        assert!(!mail.subject.contains(['\r', '\n']), "{mail:#?}");
    }
}

/// The address of another person must get no mail in any spelling. The contact gets the mail
/// instead.
#[test]
fn mail_to_a_disallowed_address_reaches_the_contact() {
    let host = impatient();
    let account = host.account("e2e-mail-stranger");
    host.cli(&["account", "set", &account.id, "--email", "ops@example.com"]).ok();
    let strangers =
        ["victim@evil.example", "\"@example.com@\"@evil.example", "victim@not-example.com"];
    for (n, stranger) in strangers.iter().enumerate() {
        let data = format!("e{n}.csv");
        put(&account, data.as_bytes(), b"event_name,time_stamp,identity\nBought,1600000000,1\n");
        let name = format!("e{n}.manifest");
        put(&account, name.as_bytes(), manifest(&data, stranger).as_bytes());
        let report = account.report(&format!("e{n}"));
        assert_eq!(report["state"], "completed", "{report:#}");
        assert!(report["warnings"].to_string().contains("account's contact"), "{report:#}");
    }
    account.import_all(&Pair::events(&account.local(), "honest", 2), 2);
    host.wait_until_quiet(SOON);
    let mails = host.catchers.mails();
    let to = |address: &str| mails.iter().filter(|mail| mail.to.contains(address)).count();
    assert_eq!(to("evil") + to("not-example"), 0, "{mails:#?}");
    assert!(to("ops@example.com") > 0 && to("honest@example.com") > 0, "{mails:#?}");
}

/// Escape sequences and characters that change the text direction are in every text that a partner
/// can choose. No list, report or log line may send them to a terminal.
#[test]
fn escape_sequences_never_reach_a_terminal() {
    let host = impatient();
    let account = host.account("e2e-terminal");
    let (escape, turned) = (
        "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m",
        "\u{202e}vsc.gpj\u{2066}\u{200b}\u{3164}\u{e0041}",
    );
    put(
        &account,
        format!("{turned}.manifest").as_bytes(),
        manifest("x.csv", "p@example.com").as_bytes(),
    );
    put(&account, b"name.manifest", manifest(&format!("{escape}.csv"), "p@example.com").as_bytes());
    put(
        &account,
        b"key.manifest",
        format!("{{{:?}: 1}}", "\\u001b[2J").replace("\\\\", "\\").as_bytes(),
    );
    put(&account, b"text.manifest", escape.as_bytes());
    let csv = format!("{escape}{turned},identity,{escape}{turned}\nx,1,{escape}\n{escape},2\n");
    put(&account, b"cells.csv", csv.as_bytes());
    put(&account, b"cells.manifest", manifest("cells.csv", "p@example.com").as_bytes());
    let events = format!("event_name,identity,n\n{escape},,{turned}\nok,1,{escape}\n");
    put(&account, b"events.csv", events.as_bytes());
    put(&account, b"events.manifest", manifest("events.csv", "p@example.com").as_bytes());
    for stem in ["name", "key", "text", "cells", "events"] {
        account.report(stem);
    }
    host.wait_until_quiet(SOON);
    let ids = host.query("SELECT id FROM import");
    assert_eq!(ids.len(), 6, "{ids:?}");
    let mut lists: Vec<Vec<&str>> =
        ["account list", "import list", "import log", "delivery list", "webhook list", "key list"]
            .map(|list| list.split(' ').collect())
            .into();
    lists.push(vec!["account", "show", &account.id]);
    lists.extend(
        ids.iter().flat_map(|id| [vec!["import", "show", id], vec!["import", "watch", id]]),
    );
    let deliveries = host.query("SELECT CAST(id AS TEXT) FROM delivery");
    lists.extend(deliveries.iter().map(|id| vec!["delivery", "show", id]));
    for list in lists {
        let ran = host.cli(&list);
        unsteered(&list.join(" "), &format!("{}{}", ran.stdout, ran.stderr));
    }
    check_locally(&account, &csv);
    let log = std::fs::read(host.root.join("log/daemon")).unwrap();
    unsteered("the daemon's log", &String::from_utf8_lossy(&log));
}

/// Runs `check` on the same files and checks its output. Partners run `check` on their own
/// computers.
fn check_locally(account: &Account<'_>, csv: &str) {
    let folder = account.local();
    std::fs::write(folder.join("cells.csv"), csv).unwrap();
    std::fs::write(folder.join("cells.manifest"), manifest("cells.csv", "p@example.com")).unwrap();
    let ran = account.host.cli(&["check", text(&folder.join("cells.manifest"))]);
    unsteered("check", &format!("{}{}", ran.stdout, ran.stderr));
}

#[track_caller]
fn unsteered(what: &str, output: &str) {
    assert!(!output.is_empty(), "{what} is empty");
    let steering = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
            || matches!(c, '\u{3164}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
    };
    assert!(!output.contains(steering), "{what}: {output:?}");
}

/// JSON contains the original text in JSON's escaped form. A script gets the name, and a terminal
/// gets no control character.
#[test]
fn json_output_is_escaped() {
    let host = impatient();
    let account = host.account("e2e-json");
    put(&account, b"e.manifest", manifest("\u{1b}[2J.csv", "p@example.com").as_bytes());
    account.report("e");
    let ran = host.cli(&["--json", "import", "list"]).ok();
    assert!(!ran.stdout.contains('\u{1b}'), "{ran:#?}");
    let list: Value = ran.json();
    assert!(list.to_string().contains("e.manifest"), "{list:#}");
}
