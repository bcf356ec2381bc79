//! Tests that the daemon's clock may jump, forced by libfaketime. With any time of the clock, no
//! file may be missed, refused early or reported twice.
//!
//! Only the daemon's CLOCK_REALTIME jumps. The kernel's clock, which sets the times of files, does
//! not jump. Therefore existing files are suddenly old after a jump forward, and are from the
//! future after a jump back. The same happens after a jump of the host's clock.

use std::path::PathBuf;

use crate::kill;
use crate::support::account::Account;
use crate::support::catchers::PYTHON;
use crate::support::host::{Host, REPOSITORY, SOON, set_mode, text};
use crate::support::pair::Pair;
use crate::support::process::{Process, until};

/// Returns the path of the library in Debian's package faketime.
fn library() -> PathBuf {
    let architectures = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let mut paths = architectures.map(|entry| entry.path().join("faketime/libfaketime.so.1"));
    paths.find(|path| path.exists()).expect("the package faketime is installed")
}

/// Sets the offset of the daemon's clock to `offset`.
fn jump(host: &Host, offset: &str) {
    let (file, new) = (host.root.join("offset"), host.root.join("offset.new"));
    std::fs::write(&new, format!("{offset}\n")).unwrap();
    set_mode(&new, 0o644);
    std::fs::rename(new, file).unwrap(); // the offset is replaced in one step
}

/// Starts the daemon with its own clock, and waits until the daemon is ready.
fn start(host: &Host) {
    jump(host, "+0");
    let variables = [
        format!("LD_PRELOAD={}", library().display()),
        format!("FAKETIME_TIMESTAMP_FILE={}", host.root.join("offset").display()),
        "FAKETIME_NO_CACHE=1".into(),
        "FAKETIME_DONT_FAKE_MONOTONIC=1".into(),
        "FAKETIME_DISABLE_SHM=1".into(),
        "NO_FAKE_STAT=1".into(),
    ];
    let before = host.times_ready();
    host.start_daemon_with(&[], &variables.iter().map(String::as_str).collect::<Vec<_>>());
    until("the daemon to be ready", SOON, || {
        host.check_daemon();
        (host.times_ready() > before).then_some(())
    });
}

/// Uploads one file of a pair.
fn put(account: &Account<'_>, path: &std::path::Path) {
    account.sftp(&format!("put {}\n", path.display())).ok();
}

#[test]
fn every_upload_is_imported_when_clock_jumps() {
    let host = Host::new("");
    let account = kill::account(&host, "e2e-clock");
    start(&host);
    let folder = account.local();
    // The jump back from "+2d" is longer than the relay's longest wait of 29 hours. After a shorter
    // jump back, a delivery that is pending at the jump may wait for the clock.
    let jumps = ["+2d", "-2d", "+400d", "-20y", "+70y", "-1h"];
    for (n, offset) in jumps.into_iter().enumerate() {
        // One pair waits for its manifest, and one pair waits for its data file. The daemon has
        // scanned both pairs, because it has claimed the pair that was uploaded after them.
        let pairs = ["d", "m", "seen", "new"].map(|k| Pair::events(&folder, &format!("{k}{n}"), 5));
        put(&account, &pairs[0].data);
        put(&account, &pairs[1].manifest);
        account.import_all(&pairs[2], 5);
        jump(&host, offset);
        account.import_all(&pairs[3], 5);
        put(&account, &pairs[0].manifest);
        put(&account, &pairs[1].data);
        account.expect_accepted(&pairs[0], 5);
        account.expect_accepted(&pairs[1], 5);
        jump(&host, "+0");
    }
    host.wait_until_quiet(SOON);
    let imports = jumps.len() * 4;
    let count = |sql: &str| host.query(sql)[0].parse::<usize>().unwrap();
    assert_eq!(count("SELECT count(*) FROM import WHERE state = 'completed'"), imports);
    let delivered = "SELECT count(*) FROM delivery WHERE state = 'delivered'";
    assert_eq!(count(delivered), imports * 4, "two milestones on two channels");
    assert_eq!(account.event_folders().len(), imports);
    host.stop_daemon();
}

/// If the clock is set back by days, a retry that is due in seconds must not wait for days. This
/// also applies if the daemon is restarted after the change.
#[test]
fn retries_do_not_wait_for_the_clock() {
    for restarted in [false, true] {
        let host = Host::new("");
        let account = host.account("e2e-clock-retry");
        // The endpoint refuses requests until it gets the secret, because it can't verify their
        // signatures before.
        let (secret, file) = (host.root.join("secret"), host.root.join("late.jsonl"));
        std::fs::write(&secret, "whsec_AAAA").unwrap();
        let script = format!("{REPOSITORY}/tests/catchers/webhook.py");
        let args = [&script, "--port", "0", "--file", text(&file), "--secret-file", text(&secret)];
        let log = host.root.join("log/late");
        let (_catcher, port) = Process::start_server(PYTHON, &args, &log);
        let url = format!("http://127.0.0.1:{port}/imports");
        let added = host.cli(&["--json", "webhook", "add", &account.id, "crm", &url]).ok();
        host.cli(&["account", "set", &account.id, "--webhook", "crm"]).ok();
        start(&host);
        jump(&host, "+3d");
        account.import_all(&Pair::events(&account.local(), "e", 2), 2);
        let tried = "SELECT count(*) FROM delivery WHERE channel = 'webhook' AND attempts > 0";
        until("an attempt to fail", SOON, || (host.query(tried) != ["0"]).then_some(()));
        if restarted {
            host.stop_daemon();
        }
        jump(&host, "+0");
        std::fs::write(&secret, added.json()["secret"].as_str().unwrap()).unwrap();
        if restarted {
            start(&host);
        }
        let left = "SELECT count(*) FROM delivery WHERE channel = 'webhook' AND state = 'pending'";
        until("the webhooks to be delivered", SOON, || {
            host.check_daemon();
            (host.query(left) == ["0"]).then_some(())
        });
        let failed = "SELECT count(*) FROM delivery WHERE channel = 'webhook' AND state = 'failed'";
        assert_eq!(host.query(failed), ["0"], "restarted: {restarted}");
    }
}
