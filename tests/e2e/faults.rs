//! A disk that fails any durable step of an upload: the daemon goes on, or is started again, and
//! ends as an undisturbed run does. Nothing lost, nothing doubled, no half claim.
//!
//! As `kill`, but the call fails: no room, or an I/O error, once or every so often. A daemon that
//! was running stays running; one that can't open its files at the start may end, as systemd
//! starts it again.

use crate::host::Host;
use crate::injection::{Fault, Point, Tracer, spread};
use crate::kill::{account, ends_well, long, run_under, undisturbed};
use crate::outcome;

/// How many points are tried by default; each makes several calls fail.
const POINTS: usize = 20;

/// Every so many calls of a thread fail, in the short form: some of them.
const EVERY: usize = 7;

#[test]
fn a_disk_that_fails_at_any_step_changes_nothing() {
    let host = Host::new("");
    let account = account(&host, "e2e-fault");
    let (expected, counts) = undisturbed(&account);
    let points: Vec<Point> = if long() {
        spread(&counts, usize::MAX).into_iter().flat_map(|(call, n)| once(&call, n)).collect()
    } else {
        spread(&counts, POINTS).into_iter().enumerate().map(often).collect()
    };
    let (mut failed, mut ended) = (0, 0);
    for (i, point) in points.iter().enumerate() {
        let stem = format!("f{i}");
        outcome::upload(&account, &stem);
        let tracer = Tracer::new(&account, Some(point));
        ended += usize::from(run_under(&account, &stem, &tracer));
        failed += tracer.failed();
        ends_well(&account, &stem, point, &expected);
    }
    eprintln!("{failed} failing calls survived in {} runs; {ended} ended the start", points.len());
    assert!(failed >= points.len(), "only {failed} calls failed");
    for database in ["state.db", &format!("data/{}/profiles.db", account.id)] {
        let db = crate::host::open_read_only(&host.state().join(database));
        let sound: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok", "{database}");
    }
}

/// Both errors, each once.
fn once(call: &str, n: usize) -> [Point; 2] {
    ["ENOSPC", "EIO"].map(|error| Point {
        call: call.into(),
        n,
        every: None,
        fault: Fault::Error(error),
    })
}

/// One of the errors, again and again.
fn often((i, (call, n)): (usize, (String, usize))) -> Point {
    let error = ["ENOSPC", "EIO"][i % 2];
    Point { call, n, every: Some(EVERY), fault: Fault::Error(error) }
}
