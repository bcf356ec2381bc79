//! Tests of small disks that are full. An upload that exceeds the disk must fail at the client.
//! Below the floor the queue must be held. No claim may be incomplete and no record may be lost.
//! When space is free again, the work must continue automatically.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::support::account::Account;
use crate::support::disk::Disk;
use crate::support::host::{Host, SOON};
use crate::support::outcome::{names, spooled};
use crate::support::pair::Pair;
use crate::support::process::until;

/// A file that uses all disk space except about `left` bytes. The space is free again on drop.
struct Filler(PathBuf);

impl Filler {
    fn new(folder: &Path, left: u64) -> Self {
        let path = folder.join("filler");
        let file = File::create(&path).unwrap();
        let mut size = 0;
        for step in [1 << 20, 1 << 16, 1 << 12] {
            while Disk::free(folder) >= left + step && file.allocate(size, step) {
                size += step;
            }
        }
        Self(path)
    }
}

trait Allocate {
    /// Allocates `length` bytes on the disk at the offset `at`. Returns whether enough space was
    /// free.
    fn allocate(&self, at: u64, length: u64) -> bool;
}

impl Allocate for File {
    fn allocate(&self, at: u64, length: u64) -> bool {
        use std::os::unix::fs::FileExt as _;
        self.write_all_at(&vec![1; length.try_into().unwrap()], at).is_ok()
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn activity(host: &Host) -> Vec<String> {
    host.query("SELECT action FROM activity WHERE action LIKE 'queue.%' ORDER BY id")
}

#[test]
fn the_queue_is_paused_when_space_is_low() {
    let host = Host::on_small_disks("[imports]\nfree-space-floor = \"4MB\"\n");
    host.start_daemon();
    let account = host.account("e2e-floor");
    account.import_all(&Pair::events(&account.local(), "before", 3), 3);
    for disk in [host.accounts(), host.state()] {
        let before = activity(&host).len();
        let full = Filler::new(&disk, 2_000_000);
        let held = format!(
            "are free at {}, which is less than imports.free-space-floor = 4.0 MB",
            disk.display()
        );
        until("the status to report a held queue", SOON, || {
            host.check_daemon();
            host.status().contains(&held).then_some(())
        });
        let stem = format!("held{before}");
        let pair = Pair::events(&account.local(), &stem, 3);
        account.upload(&pair);
        // The next cycle of the daemon has written to the activity log, but has claimed nothing.
        until("the entry of the activity log", SOON, || {
            (activity(&host)[before..] == ["queue.held"]).then_some(())
        });
        let rows = host.query(&format!("SELECT id FROM import WHERE stem = '{stem}'"));
        assert!(rows.is_empty(), "a held queue must claim nothing: {rows:?}");
        assert_eq!(names(&account.incoming(), &stem).len(), 2, "both files wait");
        drop(full);
        account.expect_accepted(&pair, 3);
        until("the release to be logged", SOON, || {
            (activity(&host)[before..] == ["queue.held", "queue.released"]).then_some(())
        });
        assert!(!host.status().contains("The queue is held"), "{}", host.status());
    }
    let log = std::fs::read_to_string(host.root.join("log/daemon")).unwrap();
    assert_eq!(
        log.matches("the queue is held: ").count(),
        2,
        "the log must report each change once"
    );
    assert_eq!(log.matches("the queue is released").count(), 2);
}

#[test]
fn an_upload_larger_than_the_disk_fails() {
    let host = Host::on_small_disks("[imports]\nfree-space-floor = \"0B\"\n");
    host.start_daemon();
    let account = host.account("e2e-beyond");
    let large = account.local().join("large.csv");
    File::create(&large).unwrap().set_len(64 << 20).unwrap();
    let manifest = Pair::events(&account.local(), "large", 1).manifest;
    File::options().write(true).open(&large).unwrap().set_len(64 << 20).unwrap();
    let put = format!("put {}\nput {}\n", large.display(), manifest.display());
    let ran = account.sftp(&put).refused();
    assert!(ran.stderr.contains("Failure") || ran.stderr.contains("space"), "{ran:#?}");
    assert!(host.query("SELECT id FROM import").is_empty(), "nothing was ready");
    account.sftp("rm large.csv\n").ok();
    account.import_all(&Pair::events(&account.local(), "after", 3), 3);
}

/// The error file, the report, the state database and the store each meet a full disk. No floor
/// prevents the imports. Each of the files must be written when space is free again.
#[test]
fn imports_on_a_full_disk_are_retried() {
    let host = Host::on_small_disks("[imports]\nfree-space-floor = \"0B\"\n");
    host.start_daemon();
    let account = host.account("e2e-full");
    for (stem, disk, left) in [
        ("answers", host.accounts(), 300_000),
        ("everything", host.accounts(), 40_000),
        ("store", host.state(), 60_000),
        ("state", host.state(), 0),
    ] {
        let pair = mostly_rejected(&account, stem);
        account.sftp(&format!("put {}\n", pair.data.display())).ok();
        let full = Filler::new(&disk, left);
        account.sftp(&format!("put {}\n", pair.manifest.display())).ok();
        let log = || std::fs::read_to_string(host.root.join("log/daemon")).unwrap_or_default();
        until(&format!("{stem} to meet the full disk"), SOON, || {
            host.check_daemon();
            let output = log();
            let since = output.rsplit("another disk").next().unwrap_or_default();
            (since.contains("No space left") || since.contains("disk is full")).then_some(())
        });
        let ended = format!(
            "SELECT state FROM import WHERE stem = '{stem}' AND state IN ('completed', 'failed')"
        );
        assert!(host.query(&ended).is_empty(), "{stem} must not end on a full disk");
        drop(full);
        let report = account.report(stem);
        let counts = serde_json::json!({"read": 20_000, "accepted": 10_000, "rejected": 10_000});
        assert_eq!((&report["records"], &report["failure"]), (&counts, &serde_json::Value::Null));
        let errors = account.results().join(format!("{stem}.errors.csv"));
        assert_eq!(std::fs::read_to_string(errors).unwrap().lines().count(), 10_001);
        let import = report["import"].as_str().unwrap();
        assert_eq!(account.events(import).len(), 10_000);
        host.wait_until_quiet(SOON);
        mark(&host);
    }
    until("incoming to be empty", SOON, || names(&account.incoming(), "").is_empty().then_some(()));
    assert!(spooled(&host).is_empty());
}

/// Adds a mark to the daemon's log. The test reads the log only after the last mark.
fn mark(host: &Host) {
    use std::io::Write as _;
    let log = host.root.join("log/daemon");
    writeln!(File::options().append(true).open(log).unwrap(), "another disk").unwrap();
}

/// Writes twenty thousand events. Every second event has no name and is rejected.
fn mostly_rejected(account: &Account<'_>, stem: &str) -> Pair {
    let rejected: Vec<usize> = (0..20_000).step_by(2).collect();
    let pair = Pair::events(&account.local(), stem, 20_000);
    let csv = std::fs::read_to_string(&pair.data).unwrap();
    let mut rejected = rejected.iter().peekable();
    let lines = csv.lines().enumerate().map(|(i, line)| {
        if i > 0 && rejected.next_if_eq(&&(i - 1)).is_some() {
            line.replacen("Purchased", "", 1)
        } else {
            line.to_owned()
        }
    });
    std::fs::write(&pair.data, lines.collect::<Vec<_>>().join("\n") + "\n").unwrap();
    pair
}
