//! Tests of SIGKILL at any durable step of an upload, followed by a normal start. The result must
//! equal the result of an undisturbed run, and no record may be stored twice.
//!
//! A batch of uploads waits. A daemon under strace imports the batch, and is killed at the nth
//! system call of one kind on a file of this package. The next daemon must complete the batch. By
//! default only a selection of the points is tested. With SFTP_IMPORT_TEST_LONG=1 all points are
//! tested.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::account::Account;
use crate::support::host::{Host, SOON};
use crate::support::injection::{Fault, Point, Tracer, spread};
use crate::support::outcome::{self, Outcome, is_done, spooled};
use crate::support::process::until;

/// With this setting, waiting uploads are claimed when the daemon starts.
pub const NO_SETTLE: &str = "[pairing]\nsettle = '0s'\n";

/// The number of points that are tried. Each point takes about a second.
const POINTS: usize = 120;

/// The number of lanes, which try points at the same time. Each lane has its own host. Most of the
/// time of a point is waiting time.
pub const LANES: usize = 4;

#[test]
fn a_kill_does_not_change_the_result() {
    let tried = side_by_side(kill_at_each_point);
    let (mut points, mut killed) = (0, 0);
    let (mut steps, mut struck) = (BTreeSet::new(), BTreeSet::new());
    for lane in tried {
        (points, killed) = (points + lane.points, killed + lane.killed);
        steps.extend(lane.steps);
        struck.extend(lane.struck);
    }
    // The assignment of work to threads differs from run to run. Therefore a late point may not be
    // reached.
    assert!(killed * 2 >= points, "only {killed} of {points} points were reached");
    let missed: Vec<_> = steps.difference(&struck).collect();
    eprintln!("{killed} kills at {} of {} steps", struck.len(), steps.len());
    if long() {
        eprintln!("steps without a kill: {missed:#?}");
    }
}

/// Names of manifests can be used again.
const REUSED: &str = "[pairing]\nsettle = '0s'\nreused-manifest = 'accept'\n";

/// The number of points that are tried with names that are used again.
const REUSED_POINTS: usize = 32;

#[test]
fn a_kill_keeps_answers_of_reused_names_apart() {
    let killed: usize = side_by_side(reuse_names_at_each_point).into_iter().sum();
    assert!(killed * 2 >= REUSED_POINTS, "only {killed} points were reached");
}

/// Uploads batches twice under the same names. The daemon is killed at a point of the second upload.
/// Returns the number of kills.
fn reuse_names_at_each_point(lane: usize) -> usize {
    let host = Host::new(REUSED);
    let account = account(&host, &format!("e2e-reused-{lane}"));
    let import_once = |stem: &str| {
        outcome::upload(&account, stem);
        complete(&account, stem, "the first upload");
        outcome::upload(&account, stem);
    };
    import_once("base");
    let tracer = Tracer::new(&account, None);
    assert_eq!(run_under(&account, "base", &tracer, PATIENCE), Run::Done);
    outcome::check_reused_names(&account, "base", "no kill");
    let count = if long() { usize::MAX } else { REUSED_POINTS };
    let mut killed = 0;
    for (i, (call, n)) in of_lane(spread(&tracer.counts(), count), lane).into_iter().enumerate() {
        let point = Point { call, n, every: None, fault: Fault::Kill };
        let stem = format!("k{i}");
        import_once(&stem);
        let tracer = Tracer::new(&account, Some(&point));
        let run = run_under(&account, &stem, &tracer, PATIENCE);
        assert_ne!(run, Run::Cut, "the daemon must be killed or complete the batch: {point}");
        killed += usize::from(run == Run::Ended);
        complete(&account, &stem, &point.to_string());
        outcome::check_reused_names(&account, &stem, &point.to_string());
    }
    killed
}

/// The results of one lane.
struct Tried {
    points: usize,
    killed: usize,
    /// All steps, and the steps at which the daemon was killed.
    steps: BTreeSet<String>,
    struck: BTreeSet<String>,
}

fn kill_at_each_point(lane: usize) -> Tried {
    let host = Host::new(NO_SETTLE);
    let account = account(&host, &format!("e2e-kill-{lane}"));
    let (expected, counts, steps) = undisturbed(&account);
    let count = if long() { usize::MAX } else { POINTS };
    let points = of_lane(spread(&counts, count), lane);
    let (mut killed, mut struck) = (0, BTreeSet::new());
    for (i, (call, n)) in points.iter().enumerate() {
        let point = Point { call: call.clone(), n: *n, every: None, fault: Fault::Kill };
        let stem = format!("k{i}");
        outcome::upload(&account, &stem);
        let tracer = Tracer::new(&account, Some(&point));
        let run = run_under(&account, &stem, &tracer, PATIENCE);
        assert_ne!(run, Run::Cut, "the daemon must be killed or complete the batch: {point}");
        if run == Run::Ended {
            killed += 1;
            struck.extend(tracer.struck(&point, &stem));
        }
        ends_well(&account, &stem, &point, &expected);
    }
    // The name of the account is removed from the steps.
    let nameless = |steps: BTreeSet<String>| {
        steps.into_iter().map(|step| step.replace(&account.id, "ACCOUNT")).collect()
    };
    Tried { points: points.len(), killed, steps: nameless(steps), struck: nameless(struck) }
}

/// The maximum time of a batch if no step fails for long.
const PATIENCE: Duration = Duration::from_secs(240);

/// The interval between two nudges. A runtime ends an idle thread after 10 s. The interval is
/// shorter, so that existing threads continue. In a new thread, the nth call would be killed again.
const NUDGE_EVERY: Duration = Duration::from_millis(500);

/// Runs `work` for each lane at the same time. Returns the results of all lanes.
pub fn side_by_side<T: Send>(work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let work = &work;
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|lane| scope.spawn(move || work(lane))).collect();
        let ended = lanes.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended.map(|end| end.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// Returns the points of one lane.
pub fn of_lane<T>(points: Vec<T>, lane: usize) -> Vec<T> {
    points.into_iter().skip(lane).step_by(LANES).collect()
}

pub fn long() -> bool {
    std::env::var_os("SFTP_IMPORT_TEST_LONG").is_some_and(|value| value == "1")
}

/// Creates an account that also gets webhooks.
pub fn account<'h>(host: &'h Host, id: &str) -> Account<'h> {
    let account = host.account(id);
    host.cli(&["webhook", "add", id, "crm", &host.catchers.url()]).ok();
    host.cli(&["account", "set", id, "--webhook", "crm"]).ok();
    account
}

/// Runs a batch without a fault. Returns its outcome, the number of calls of each kind, and the
/// steps.
pub fn undisturbed(account: &Account<'_>) -> (Outcome, BTreeMap<String, usize>, BTreeSet<String>) {
    outcome::upload(account, "base");
    let tracer = Tracer::new(account, None);
    let run = run_under(account, "base", &tracer, PATIENCE);
    assert_eq!(run, Run::Done, "no fault was configured");
    let expected = Outcome::of(account, "base");
    expected.check_sound();
    (expected, tracer.counts(), tracer.steps("base"))
}

/// The end of a run of the daemon under strace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// The daemon ended because of the fault.
    Ended,
    /// The daemon completed the batch, and the test then ended the daemon.
    Done,
    /// The test ended the daemon, because it took too long.
    Cut,
}

/// Runs a daemon under `tracer` until the daemon has ended or completed the batch, or until
/// `patience` has passed.
pub fn run_under(account: &Account<'_>, stem: &str, tracer: &Tracer, patience: Duration) -> Run {
    let host = account.host;
    host.start_daemon_under(&tracer.words());
    let (began, mut nudged) = (Instant::now(), Instant::now());
    let run = until("the daemon to end or be done", SOON + patience, || {
        if host.daemon().as_mut().is_none_or(|daemon| daemon.ended().is_some()) {
            return Some(Run::Ended);
        }
        if nudged.elapsed() > NUDGE_EVERY {
            nudge(account);
            nudged = Instant::now();
        }
        let cut = || (began.elapsed() > patience).then_some(Run::Cut);
        let done = is_done(host, stem) && outcome::names(&account.incoming(), stem).is_empty();
        done.then_some(Run::Done).or_else(cut)
    });
    if let Some(daemon) = host.daemon().take() {
        daemon.signal(Signal::SIGTERM);
        drop(daemon); // kills strace and all its children
    }
    run
}

/// Makes the daemon scan the account immediately. Without this call the daemon retries failures
/// after 10 s.
fn nudge(account: &Account<'_>) {
    let file = account.incoming().join(".nudge");
    std::fs::write(&file, "").unwrap();
    std::fs::remove_file(&file).unwrap();
}

/// Checks that a normal daemon completes the batch with the expected outcome, and leaves no other
/// files.
#[track_caller]
pub fn ends_well(account: &Account<'_>, stem: &str, point: &Point, expected: &Outcome) {
    complete(account, stem, &point.to_string());
    assert_eq!(&Outcome::of(account, stem), expected, "{point}");
}

/// Runs a normal daemon until the batch is completed and no file is left.
#[track_caller]
fn complete(account: &Account<'_>, stem: &str, after: &str) {
    let host = account.host;
    host.start_daemon();
    until(&format!("{stem} to be done after {after}"), SOON, || {
        host.check_daemon();
        let swept = spooled(host).is_empty() && outcome::names(&account.incoming(), "").is_empty();
        (swept && is_done(host, stem)).then_some(())
    });
    host.stop_daemon();
}
