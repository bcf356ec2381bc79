//! SIGKILL at any durable step of an upload, then a normal start: the same end, nothing doubled.
//!
//! A batch of uploads waits; a daemon under strace takes it up and is killed as it enters the nth
//! call of one kind on a file of ours; the next one must end it as an undisturbed run does.
//! A spread of the points by default, all of them with SFTP_IMPORT_TEST_LONG=1.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::account::Account;
use crate::support::host::{Host, SOON};
use crate::support::injection::{Fault, Point, Tracer, spread};
use crate::support::outcome::{self, Outcome, is_done, spooled};
use crate::support::process::until;

/// Uploads that wait for the daemon are claimed at its start.
pub const NO_SETTLE: &str = "[pairing]\nsettle = '0s'\n";

/// How many points are tried; each takes a second or so.
const POINTS: usize = 120;

/// Points that are tried side by side, each lane on a host of its own: most of a point's time is
/// waiting.
pub const LANES: usize = 4;

#[test]
fn a_kill_at_any_step_changes_nothing() {
    let tried = side_by_side(kill_at_each_point);
    let (mut points, mut killed) = (0, 0);
    let (mut steps, mut struck) = (BTreeSet::new(), BTreeSet::new());
    for lane in tried {
        (points, killed) = (points + lane.points, killed + lane.killed);
        steps.extend(lane.steps);
        struck.extend(lane.struck);
    }
    // Which thread does what differs from run to run, so that a late point may not be reached.
    assert!(killed * 2 >= points, "only {killed} of {points} points were reached");
    let missed: Vec<_> = steps.difference(&struck).collect();
    eprintln!("{killed} kills survived, at {} of {} steps", struck.len(), steps.len());
    if long() {
        eprintln!("never struck: {missed:#?}");
    }
}

/// What a lane has tried.
struct Tried {
    points: usize,
    killed: usize,
    /// The steps that there are, and those that were struck.
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
        assert_ne!(run, Run::Cut, "neither killed nor done: {point}");
        if run == Run::Ended {
            killed += 1;
            struck.extend(tracer.struck(&point, &stem));
        }
        ends_well(&account, &stem, &point, &expected);
    }
    // An account's name is no part of a step.
    let nameless = |steps: BTreeSet<String>| {
        steps.into_iter().map(|step| step.replace(&account.id, "ACCOUNT")).collect()
    };
    Tried { points: points.len(), killed, steps: nameless(steps), struck: nameless(struck) }
}

/// How long a batch may take where nothing fails for long.
const PATIENCE: Duration = Duration::from_secs(240);

/// Often enough for idle threads, which a runtime ends after 10 s, to be the ones that go on: a new
/// one's nth call would be struck again.
const NUDGE_EVERY: Duration = Duration::from_millis(500);

/// The outcome of each lane.
pub fn side_by_side<T: Send>(work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let work = &work;
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|lane| scope.spawn(move || work(lane))).collect();
        let ended = lanes.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended.map(|end| end.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// The points of a lane.
pub fn of_lane<T>(points: Vec<T>, lane: usize) -> Vec<T> {
    points.into_iter().skip(lane).step_by(LANES).collect()
}

pub fn long() -> bool {
    std::env::var_os("SFTP_IMPORT_TEST_LONG").is_some_and(|value| value == "1")
}

/// An account that also gets webhooks.
pub fn account<'h>(host: &'h Host, id: &str) -> Account<'h> {
    let account = host.account(id);
    host.cli(&["webhook", "add", id, "crm", &host.catchers.url()]).ok();
    host.cli(&["account", "set", id, "--webhook", "crm"]).ok();
    account
}

/// The outcome of a batch, how often each kind of call is made on the way, and the steps of it.
pub fn undisturbed(account: &Account<'_>) -> (Outcome, BTreeMap<String, usize>, BTreeSet<String>) {
    outcome::upload(account, "base");
    let tracer = Tracer::new(account, None);
    let run = run_under(account, "base", &tracer, PATIENCE);
    assert_eq!(run, Run::Done, "nothing was to strike");
    let expected = Outcome::of(account, "base");
    expected.check_sound();
    (expected, tracer.counts(), tracer.steps("base"))
}

/// How a daemon under a tracer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// It ended.
    Ended,
    /// It has done everything, and was ended then.
    Done,
    /// It was ended when the patience was.
    Cut,
}

/// Runs a daemon under `tracer` until it has ended, has done everything, or has had its time.
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
        drop(daemon); // and, as strace may outlive the signal, its whole family
    }
    run
}

/// Makes the daemon scan the account now. Otherwise it retries failures after 10 s.
fn nudge(account: &Account<'_>) {
    let file = account.incoming().join(".nudge");
    std::fs::write(&file, "").unwrap();
    std::fs::remove_file(&file).unwrap();
}

/// A normal daemon brings the batch to the same end, and leaves nothing behind.
#[track_caller]
pub fn ends_well(account: &Account<'_>, stem: &str, point: &Point, expected: &Outcome) {
    let host = account.host;
    host.start_daemon();
    until(&format!("{stem} to be done after {point}"), SOON, || {
        host.check_daemon();
        let swept = spooled(host).is_empty() && outcome::names(&account.incoming(), "").is_empty();
        (is_done(host, stem) && swept).then_some(())
    });
    host.stop_daemon();
    assert_eq!(&Outcome::of(account, stem), expected, "{point}");
}
