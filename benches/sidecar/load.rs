//! How many small imports a second the real sidecar finishes, every step durable.
//!
//! Pairs of 10 records go into each account's incoming as fast as they are written; the clock runs
//! from the first manifest until the last import has completed in the state database.

use std::fmt::Write;
use std::fs;
use std::time::{Duration, Instant};

use sftp_import::account::AccountId;

use super::host::{Sidecar, manifest, wait};

pub fn measure(accounts: usize, pairs: usize) {
    let ids: Vec<AccountId> =
        (0..accounts).map(|n| format!("bench-{n}").parse().expect("an account id")).collect();
    let mut sidecar = Sidecar::new();
    let incoming = sidecar.add(&ids);
    sidecar.start();

    let csv = (0..10).fold(String::from("event_name,identity,Price\n"), |mut csv, n| {
        writeln!(csv, "Purchased,user{n}@example.com,{n}.5").expect("a String takes all");
        csv
    });
    let begin = Instant::now();
    let cpu = sidecar.cpu();
    for n in 0..pairs {
        for folder in &incoming {
            fs::write(folder.join(format!("{n}.csv")), &csv).expect("a data file is written");
            let text = manifest(&format!("{n}.csv"));
            fs::write(folder.join(format!("{n}.manifest")), text).expect("a manifest is written");
        }
    }
    let written = begin.elapsed().as_secs_f64();
    let all = accounts * pairs;
    wait(Duration::from_secs(600), Duration::from_millis(20), "the imports", || {
        (completed(&sidecar) == all).then_some(())
    });
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{all} imports of 10 records, {accounts} accounts: {:.0} a second ({seconds:.1} s, of which \
         {written:.1} s until all were uploaded), {:.2} ms CPU each, peak {} MB",
        all as f64 / seconds,
        (sidecar.cpu() - cpu).as_secs_f64() * 1000.0 / all as f64,
        sidecar.status("VmHWM") >> 10
    );
}

fn completed(sidecar: &Sidecar) -> usize {
    sidecar
        .state
        .read(|tx| {
            let sql = "SELECT count(*) FROM import WHERE state = 'completed'";
            Ok::<i64, sftp_import::state::Error>(tx.query_row(sql, [], |row| row.get(0))?)
        })
        .map(|count| count as usize)
        .expect("the state database is readable")
}
