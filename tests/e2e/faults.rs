//! A disk that fails any durable step of an upload: the daemon goes on, or is started again, and
//! ends as an undisturbed run does. Nothing lost, nothing doubled, no half claim.
//!
//! As `kill`, but the call fails: no room, or an I/O error, once or every so often. A daemon that
//! was running stays running; one that can't open its files at the start may end, as systemd
//! starts it again.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::kill::{
    NO_SETTLE, Run, account, ends_well, long, of_lane, run_under, side_by_side, undisturbed,
};
use crate::support::host::Host;
use crate::support::injection::{Fault, Point, Tracer, spread};
use crate::support::outcome;

/// How many points are tried by default; each takes some seconds, as what failed waits a little.
const POINTS: usize = 60;

/// In the long form so many of the points come again …
const REPEATED: usize = 60;

/// … some times, every so many calls of a thread.
const EVERY: usize = 7;

/// strace counts by thread, and a delivery has a thread of its own: an early call that fails in one
/// fails in the next as well, without end. The disk of such a run is corrected after this.
const PATIENCE: Duration = Duration::from_secs(12);

#[test]
fn a_disk_failing_anywhere_changes_nothing() {
    let tried = side_by_side(fail_at_each_point);
    let sum = |count: fn(&Tried) -> usize| tried.iter().map(count).sum::<usize>();
    let (points, failed) = (sum(|t| t.points), sum(|t| t.failed));
    let (ended, cut) = (sum(|t| t.ended), sum(|t| t.cut));
    eprintln!(
        "{failed} failing calls survived in {points} runs; {ended} ended the start, {cut} lasted"
    );
    // Which thread does what differs from run to run, so that a late point may not be reached.
    assert!(failed * 2 >= points, "only {failed} calls failed");
}

/// What a lane has tried.
struct Tried {
    points: usize,
    failed: usize,
    ended: usize,
    cut: usize,
}

fn fail_at_each_point(lane: usize) -> Tried {
    let host = Host::new(NO_SETTLE);
    let account = account(&host, &format!("e2e-fault-{lane}"));
    let (expected, counts, _) = undisturbed(&account);
    let points = of_lane(points(&counts), lane);
    let (mut failed, mut ended, mut cut) = (0, 0, 0);
    for (i, point) in points.iter().enumerate() {
        let stem = format!("f{i}");
        outcome::upload(&account, &stem);
        let tracer = Tracer::new(&account, Some(point));
        let run = run_under(&account, &stem, &tracer, PATIENCE);
        ended += usize::from(run == Run::Ended);
        cut += usize::from(run == Run::Cut);
        failed += tracer.failed();
        ends_well(&account, &stem, point, &expected);
    }
    for database in ["state.db", &format!("data/{}/profiles.db", account.id)] {
        let db = crate::support::host::open_read_only(&host.state().join(database));
        let sound: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok", "{database}");
    }
    Tried { points: points.len(), failed, ended, cut }
}

/// The points of a run with these calls.
fn points(counts: &BTreeMap<String, usize>) -> Vec<Point> {
    if !long() {
        let some = spread(counts, POINTS).into_iter().enumerate();
        return some.map(|(i, at)| point(at, ERRORS[i % 2], None)).collect();
    }
    let all = spread(counts, usize::MAX).into_iter();
    let repeated = spread(counts, REPEATED).into_iter().enumerate();
    let repeated = repeated.map(|(i, at)| point(at, ERRORS[i % 2], Some(EVERY)));
    all.flat_map(|at| ERRORS.map(|error| point(at.clone(), error, None))).chain(repeated).collect()
}

const ERRORS: [&str; 2] = ["ENOSPC", "EIO"];

fn point((call, n): (String, usize), error: &'static str, every: Option<usize>) -> Point {
    Point { call, n, every, fault: Fault::Error(error) }
}
