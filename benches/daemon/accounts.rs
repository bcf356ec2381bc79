//! Measures the daemon with ten thousand accounts: the time from its start until all accounts are
//! watched, its memory, and its CPU time while idle.
//!
//! The daemon sends READY=1 when it watches every account. This ends the first measurement.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use sftp_import::account::AccountId;

use super::host::{Daemon, manifest, wait};

/// The time until the daemon is idle. The first scan of every account has then ended. The first
/// rescan, which scans new folders a second time, has ended too.
const SETTLE: Duration = Duration::from_secs(75);
/// The time for which the idle daemon is measured: the default of `rescan-every`.
const IDLE: Duration = Duration::from_secs(60);

pub fn measure(count: usize) {
    let ids: Vec<AccountId> =
        (0..count).map(|n| format!("bench-{n}").parse().expect("an account id")).collect();
    let mut daemon = Daemon::new();
    let incoming = daemon.add(&ids);
    let begin = Instant::now();
    daemon.start();
    let ready = begin.elapsed().as_secs_f64();

    // The pair of the last account must be claimed before the first scan of all accounts has ended.
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
