//! Measures ten thousand accounts: the time from the daemon's start until all are watched, the
//! daemon's memory, and its CPU time while idle.
//!
//! The first time ends with READY=1, which the daemon sends when every account has its watch.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use sftp_import::account::AccountId;

use super::host::{Daemon, manifest, wait};

/// After this time, the first scan of every account has ended, and so has the first rescan, which
/// scans new folders a second time. The daemon is then idle.
const SETTLE: Duration = Duration::from_secs(75);
/// How long the idle daemon is measured: one period of `rescan-every`, by its default.
const IDLE: Duration = Duration::from_secs(60);

pub fn measure(count: usize) {
    let ids: Vec<AccountId> =
        (0..count).map(|n| format!("bench-{n}").parse().expect("an account id")).collect();
    let mut daemon = Daemon::new();
    let incoming = daemon.add(&ids);
    let begin = Instant::now();
    daemon.start();
    let ready = begin.elapsed().as_secs_f64();

    // The last account's pair is claimed before the first scan of all accounts is over.
    let last = incoming.last().expect("there is an account");
    fs::write(last.join("e.csv"), "event_name,identity\nPurchased,a@example.com\n")
        .and_then(|()| fs::write(last.join("e.manifest"), manifest("e.csv")))
        .expect("a pair is written");
    let uploaded = Instant::now();
    let most = Duration::from_secs(60);
    wait(most, Duration::from_millis(1), "the import", || {
        last.join("e.csv").exists().eq(&false).then_some(())
    });
    let claimed = uploaded.elapsed().as_secs_f64();

    sleep(SETTLE);
    let cpu = daemon.cpu();
    sleep(IDLE);
    let cpu = daemon.cpu() - cpu;
    println!(
        "{count} accounts: all watched after {ready:.2} s, a pair uploaded then claimed after \
         {:.0} ms, {} MB resident, {:.1} % of a core when idle ({} ms in {} s)",
        claimed * 1000.0,
        daemon.status("VmRSS") >> 10,
        cpu.div_duration_f64(IDLE) * 100.0,
        cpu.as_millis(),
        IDLE.as_secs()
    );
}
