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

/// How many points are tried by default; each takes some seconds, as what failed waits a little.
const POINTS: usize = 20;

/// In the long form so many of the points come again …
const REPEATED: usize = 60;

/// … some times, every so many calls of a thread.
const EVERY: usize = 7;

#[test]
fn a_disk_that_fails_at_any_step_changes_nothing() {
    let host = Host::new("");
    let account = account(&host, "e2e-fault");
    let (expected, counts, _) = undisturbed(&account);
    let points: Vec<Point> = if long() {
        let all = spread(&counts, usize::MAX).into_iter();
        let repeated = spread(&counts, REPEATED).into_iter().enumerate();
        let repeated = repeated.map(|(i, at)| point(at, ERRORS[i % 2], Some(EVERY)));
        all.flat_map(|at| ERRORS.map(|error| point(at.clone(), error, None)))
            .chain(repeated)
            .collect()
    } else {
        let some = spread(&counts, POINTS).into_iter().enumerate();
        some.map(|(i, at)| point(at, ERRORS[i % 2], None)).collect()
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
    // Which thread does what differs from run to run, so that a late point may not be reached.
    assert!(failed * 2 >= points.len(), "only {failed} calls failed");
    for database in ["state.db", &format!("data/{}/profiles.db", account.id)] {
        let db = crate::host::open_read_only(&host.state().join(database));
        let sound: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok", "{database}");
    }
}

const ERRORS: [&str; 2] = ["ENOSPC", "EIO"];

fn point((call, n): (String, usize), error: &'static str, every: Option<usize>) -> Point {
    Point { call, n, every, fault: Fault::Error(error) }
}
