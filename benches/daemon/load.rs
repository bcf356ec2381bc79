//! Measures how many small imports per second the real daemon completes. All data is synced to the
//! disk as in normal operation.
//!
//! Many sessions upload pairs of 10 records and stay open. Then all sessions end at the same time.
//! The measured time is from that moment until all imports are completed in the state database.

use std::time::{Duration, Instant};

use sftp_import::account::AccountId;

use super::host::{Daemon, wait};
use super::session::Session;

pub fn measure(accounts: usize, pairs: usize) {
    let ids: Vec<AccountId> =
        (0..accounts).map(|n| format!("bench-{n}").parse().expect("an account id")).collect();
    let mut daemon = Daemon::new();
    daemon.add(&ids);
    daemon.start();

    let mut sessions: Vec<_> = ids.iter().map(|id| Session::open(&daemon, id)).collect();
    let cpu = daemon.cpu();
    for n in 0..pairs {
        for session in &mut sessions {
            session.put(&n.to_string(), 10);
        }
    }
    let early = completed(&daemon);
    let begin = Instant::now();
    sessions.iter_mut().for_each(Session::end);
    let all = accounts * pairs;
    wait(Duration::from_secs(600), Duration::from_millis(20), "the imports", || {
        (completed(&daemon) == all).then_some(())
    });
    let seconds = begin.elapsed().as_secs_f64();
    for session in sessions {
        session.ended();
    }
    println!(
        "{all} imports of 10 records, {accounts} sessions ended at the same time: {:.0} a second \
         ({seconds:.1} s, {early} were done before), {:.2} ms CPU each, peak {} MB",
        (all - early) as f64 / seconds,
        (daemon.cpu() - cpu).as_secs_f64() * 1000.0 / all as f64,
        daemon.status("VmHWM") >> 10
    );
}

fn completed(daemon: &Daemon) -> usize {
    daemon
        .state
        .read(|tx| {
            let sql = "SELECT count(*) FROM import WHERE state = 'completed'";
            Ok::<i64, sftp_import::state::Error>(tx.query_row(sql, [], |row| row.get(0))?)
        })
        .map(|count| count as usize)
        .expect("the state database is readable")
}
