//! Tests of a disk that fails at any durable step of an upload. The daemon continues or is started
//! again. The result must equal the result of an undisturbed run: no record is lost or stored
//! twice, and no claim is incomplete.
//!
//! The tests are like those of `kill`, but a system call fails with a full disk or an I/O error,
//! either once or repeatedly. A running daemon must continue. A daemon that can't open its files at
//! the start may end, because systemd starts it again.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::kill::{
    NO_SETTLE, Run, account, ends_well, long, of_lane, run_under, side_by_side, undisturbed,
};
use crate::support::host::Host;
use crate::support::injection::{Fault, Point, Tracer, spread};
use crate::support::outcome;

/// The number of points that are tried by default. Each point takes some seconds, because a failed
/// step waits before its retry.
const POINTS: usize = 60;

/// The number of points that are also tried with repeated failures in the long form.
const REPEATED: usize = 60;

/// The interval between repeated failures, in calls of one thread.
const EVERY: usize = 7;

/// The time after which the disk of a run works again. strace counts the calls of each thread, and
/// each delivery has its own thread. Therefore an early failing call would fail for every delivery
/// without end.
const PATIENCE: Duration = Duration::from_secs(12);

#[test]
fn a_disk_failure_does_not_change_the_result() {
    let tried = side_by_side(fail_at_each_point);
    let sum = |count: fn(&Tried) -> usize| tried.iter().map(count).sum::<usize>();
    let (points, failed) = (sum(|t| t.points), sum(|t| t.failed));
    let (ended, cut) = (sum(|t| t.ended), sum(|t| t.cut));
    eprintln!(
        "{failed} failing calls in {points} runs; {ended} ended the start, {cut} ran to the limit"
    );
    // The assignment of work to threads differs from run to run. Therefore a late point may not be
    // reached.
    assert!(failed * 2 >= points, "only {failed} calls failed");
}

/// The results of one lane.
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

/// Returns the points of a run with these calls.
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
