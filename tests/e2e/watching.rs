//! Tests of the detection of uploads: by inotify, after an overflow of its queue, by polling, and
//! by the rescan.
//!
//! In all tests except the test of the rescan, `rescan-every` is so long that the rescan can't find
//! uploads that the watcher missed.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::host::{Host, SOON};
use crate::support::pair::Pair;
use crate::support::process::until;

const INOTIFY: &str = "[pairing]\nrescan-every = \"1d\"\n";
const POLL: &str =
    "[pairing]\nrescan-every = \"1d\"\n[watch]\nmethod = \"poll\"\npoll-every = \"100ms\"\n";

/// Accounts are added, removed and added again while the daemon runs. They upload with temporary
/// names, and the manifest first.
#[test]
fn inotify_and_polling_import_the_same_uploads() {
    for (method, config) in [("inotify", INOTIFY), ("poll", POLL)] {
        let host = Host::new(config);
        host.start_daemon();
        let account = host.account(&format!("e2e-{method}"));
        account.import_all(&Pair::events(&account.local(), "e", 3), 3);
        let pair = Pair::events(&account.local(), "f", 2);
        let (data, manifest) = (pair.data.display(), pair.manifest.display());
        account.sftp(&format!("put {manifest}\nput {data} .f\nrename .f f.csv\n")).ok();
        account.expect_accepted(&pair, 2);
        host.wait_until_quiet(SOON); // the report precedes the end of the import
        host.cli(&["account", "remove", &account.id, "--yes"]).ok();
        assert!(!account.incoming().exists());
        let again = host.account(&account.id);
        again.import_all(&Pair::events(&again.local(), "again", 1), 1);
    }
}

/// While the daemon is stopped (SIGSTOP), the number of closed files exceeds the kernel's queue of
/// events. The events of the last pair are lost, and only the overflow event reports this.
#[test]
fn uploads_are_imported_after_an_inotify_overflow() {
    let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    if limit > 100_000 {
        eprintln!("skipped: this host queues {limit} events");
        return;
    }
    let host = Host::new(INOTIFY);
    host.start_daemon();
    let account = host.account("e2e-overflow");
    account.import_all(&Pair::events(&account.local(), "before", 1), 1);
    let stop = |signal| host.daemon().as_ref().unwrap().signal(signal);
    stop(Signal::SIGSTOP);
    let first = Pair::events(&account.local(), "first", 2);
    account.upload(&first);
    for n in 0..20_000.max(limit + 1) {
        std::fs::write(account.incoming().join(format!("{n}.csv")), "").unwrap();
    }
    let last = Pair::events(&account.local(), "last", 2);
    account.upload(&last);
    stop(Signal::SIGCONT);
    account.expect_accepted(&first, 2);
    account.expect_accepted(&last, 2);
    until("no manifest to be left", SOON, || {
        let entries = std::fs::read_dir(account.incoming()).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        (!names.into_iter().any(|name| name.ends_with(".manifest"))).then_some(())
    });
    // After the overflow, events must be read again.
    account.import_all(&Pair::events(&account.local(), "after", 1), 1);
}

/// link(2) causes no event that the daemon watches for, so the wake-up is lost. Before that, the
/// account was unchanged for so long that scans skip it as empty.
#[test]
fn the_rescan_finds_uploads_without_a_wake_up() {
    let host = Host::new("[pairing]\nrescan-every = \"1s\"\n");
    host.start_daemon();
    let account = host.account("e2e-rescan");
    for stem in ["first", "second"] {
        std::thread::sleep(Duration::from_secs(6));
        let pair = Pair::events(&account.local(), stem, 2);
        for file in [&pair.data, &pair.manifest] {
            let (name, aside) = (file.file_name().unwrap(), host.root.join("aside"));
            std::fs::copy(file, &aside).unwrap();
            account.give(&aside);
            std::fs::hard_link(&aside, account.incoming().join(name)).unwrap();
            std::fs::remove_file(&aside).unwrap();
        }
        account.expect_accepted(&pair, 2);
    }
}
