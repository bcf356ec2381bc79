//! Measures the time from the end of a session until `picked_up` is in the activity log, with the
//! real daemon.
//!
//! The bench uploads pairs for one account, one after the other, each in a separate session. The
//! measured time is from the end of the session until the activity log in the database has the
//! line. This is measured on an idle host, and again while an import of 5 GB of another account is
//! running. For some pairs the session stays open, and the measured time is from the close of the
//! manifest. A pair is uploaded only after the previous import has completed and its milestone was
//! delivered.

use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use sftp_import::account::AccountId;
use sftp_import::state::activity::{self, Activity};

use super::host::{Daemon, manifest, wait};
use super::session::Session;

const PAIRS: usize = 200;
/// The number of pairs whose session stays open. Each of them waits for the time `settle`.
const OPEN: usize = 20;
/// The number of pairs that are uploaded before the measurement.
const WARM_UP: usize = 5;
/// The size of the huge data file before compression, in bytes.
const HUGE: usize = 5_000_000_000;
const PATIENCE: Duration = Duration::from_secs(20);
const DELIVERED_WITHIN: Duration = Duration::from_millis(20);

pub fn measure_all() {
    let ids: Vec<AccountId> = ["bench", "huge"].map(|id| id.parse().expect("an account id")).into();
    let mut daemon = Daemon::new();
    let incoming = daemon.add(&ids);
    daemon.start();
    for n in 0..WARM_UP {
        one(&daemon, &ids[0], n, true);
    }
    let ended = "session ended to picked_up";
    measure(&format!("{ended}, idle"), &daemon, &ids[0], WARM_UP..WARM_UP + PAIRS, true);
    let open = "manifest closed to picked_up, session open";
    measure(open, &daemon, &ids[0], 10_000..10_000 + OPEN, false);
    let import = begin_huge(&daemon, &ids[1], &incoming[1]);
    let what = format!("{ended}, beside an import of 5 GB");
    measure(&what, &daemon, &ids[0], WARM_UP + PAIRS..WARM_UP + 2 * PAIRS, true);
    let now = import_state(&daemon, &import);
    assert_eq!(now, "running", "the huge import ended before the measurement");
}

/// Measures the pairs with the numbers in `pairs`, and prints their times.
fn measure(what: &str, daemon: &Daemon, account: &AccountId, pairs: Range<usize>, ends: bool) {
    let count = pairs.len();
    let mut times: Vec<f64> = pairs.map(|n| one(daemon, account, n, ends)).collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{what}, {count} pairs: p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
}

/// Uploads pair number `n` and waits until its import has completed. Returns the time until the
/// pair was picked up, in milliseconds. If `ends` is true, the time is from the end of the session,
/// otherwise from the close of the manifest.
fn one(daemon: &Daemon, account: &AccountId, n: usize, ends: bool) -> f64 {
    let before = lines(daemon, account, "import.completed").pop().and_then(|line| line.import);
    let of_pair =
        |action| lines(daemon, account, action).pop().filter(|line| line.import != before);
    let mut session = Session::open(daemon, account);
    let mut from = session.put(&n.to_string(), 1);
    let still_open = if ends {
        session.end();
        from = session.ended();
        None
    } else {
        Some(session)
    };
    let line = wait(PATIENCE, Duration::from_micros(200), "picking a pair up", || {
        of_pair("import.picked_up")
    });
    // The line's own time is not used as the end, because its transaction was not yet durable at
    // that time.
    let took = Timestamp::now().duration_since(from.min(line.at)).as_secs_f64() * 1000.0;
    wait(PATIENCE, Duration::from_millis(2), "completing a pair", || of_pair("import.completed"));
    std::thread::sleep(DELIVERED_WITHIN);
    if let Some(mut session) = still_open {
        session.end();
        session.ended();
    }
    took
}

/// Uploads a pair with a huge data file, and waits until the import is running. Returns the id of
/// the import.
fn begin_huge(daemon: &Daemon, account: &AccountId, incoming: &Path) -> String {
    let block: String =
        (0..10_000).map(|n| format!("Purchased,user{n}@example.com,{n}.5\n")).collect();
    let file = fs::File::create(incoming.join("huge.csv.zst")).expect("the data file is made");
    let mut file = zstd::Encoder::new(file, 1).expect("an encoder");
    file.write_all(b"event_name,identity,Price\n").expect("the header is written");
    for _ in 0..(HUGE - 100) / block.len() {
        file.write_all(block.as_bytes()).expect("records are written");
    }
    file.finish().expect("the data file is whole");
    fs::write(incoming.join("huge.manifest"), manifest("huge.csv.zst")).expect("its manifest");
    let line = wait(PATIENCE, Duration::from_millis(10), "picking the huge pair up", || {
        lines(daemon, account, "import.picked_up").into_iter().next()
    });
    line.import.expect("it is an import's line")
}

/// Returns the recent lines of the account with `action`, the oldest first. At least the lines of
/// one import are read. Reading more lines would use CPU time that the daemon needs.
fn lines(daemon: &Daemon, account: &AccountId, action: &str) -> Vec<Activity> {
    let mut lines = daemon
        .state
        .read(|tx| activity::recent(tx, Some(account), 12))
        .expect("the activity log is readable");
    lines.retain(|line| line.action == action);
    lines
}

fn import_state(daemon: &Daemon, import: &str) -> String {
    daemon
        .state
        .read(|tx| {
            let sql = "SELECT state FROM import WHERE id = ?1";
            Ok::<_, sftp_import::state::Error>(tx.query_row(sql, [import], |row| row.get(0))?)
        })
        .expect("the state database is readable")
}
