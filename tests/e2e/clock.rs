//! Clocks that jump under the running daemon, forced by libfaketime: at any reading of the clock,
//! nothing is missed, refused early or reported twice.
//!
//! Only the daemon's CLOCK_REALTIME is another; the kernel's, by which files have their times, stays.
//! So files that are there when it jumps forward are suddenly old, and when it jumps back, of the future:
//! as with a jump of the host's.

use std::path::PathBuf;

use crate::kill;
use crate::support::account::Account;
use crate::support::catchers::PYTHON;
use crate::support::host::{Host, REPOSITORY, SOON, set_mode, text};
use crate::support::pair::Pair;
use crate::support::process::{Process, until};

/// Where Debian's package faketime has it.
fn library() -> PathBuf {
    let architectures = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let mut paths = architectures.map(|entry| entry.path().join("faketime/libfaketime.so.1"));
    paths.find(|path| path.exists()).expect("the package faketime is installed")
}

/// Sets the daemon's clock off by `offset`.
fn jump(host: &Host, offset: &str) {
    let (file, new) = (host.root.join("offset"), host.root.join("offset.new"));
    std::fs::write(&new, format!("{offset}\n")).unwrap();
    set_mode(&new, 0o644);
    std::fs::rename(new, file).unwrap(); // never half of it
}

/// Starts the daemon with a clock of its own, and waits until it is ready.
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

/// Puts one file of a pair.
fn put(account: &Account<'_>, path: &std::path::Path) {
    account.sftp(&format!("put {}\n", path.display())).ok();
}

#[test]
fn nothing_is_missed_when_the_clock_jumps() {
    let host = Host::new("");
    let account = kill::account(&host, "e2e-clock");
    start(&host);
    let folder = account.local();
    // Back from "+2d" is further than the relay's longest wait, 29 hours: by less, a delivery that
    // is pending at the jump may wait for the clock.
    let jumps = ["+2d", "-2d", "+400d", "-20y", "+70y", "-1h"];
    for (n, offset) in jumps.into_iter().enumerate() {
        // One waits for its manifest, one for its data file; both were seen, as what came after them
        // was taken.
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
    assert_eq!(count(delivered), imports * 4, "two milestones, two channels");
    assert_eq!(account.event_folders().len(), imports);
    host.stop_daemon();
}

/// A retry that is due in seconds is not due in days because the clock was set back by days; nor
/// is it if the daemon did not run in between.
#[test]
fn retries_do_not_wait_for_the_clock() {
    for restarted in [false, true] {
        let host = Host::new("");
        let account = host.account("e2e-clock-retry");
        // It refuses what isn't signed with a secret that it gets later.
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
