//! SIGKILL at any durable step of an upload, then a normal start: the same end, nothing doubled.
//!
//! A batch of uploads waits; a daemon under strace takes it up and is killed as it enters the nth
//! call of one kind on a file of ours; the next one must end it as an undisturbed run does.
//! A spread of the points by default, all of them with SFTP_IMPORT_TEST_LONG=1.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::account::Account;
use crate::host::{Host, SOON};
use crate::injection::{Fault, Point, Tracer, spread};
use crate::outcome::{self, Outcome, is_done, spooled};
use crate::process::until;

/// How many points are tried; each takes a second or so.
const POINTS: usize = 45;

#[test]
fn a_kill_at_any_step_changes_nothing() {
    let host = Host::new("");
    let account = account(&host, "e2e-kill");
    let (expected, counts, steps) = undisturbed(&account);
    let count = if long() { usize::MAX } else { POINTS };
    let points = spread(&counts, count);
    let (mut killed, mut struck) = (0, BTreeSet::new());
    for (i, (call, n)) in points.iter().enumerate() {
        let point = Point { call: call.clone(), n: *n, every: None, fault: Fault::Kill };
        let stem = format!("k{i}");
        outcome::upload(&account, &stem);
        let tracer = Tracer::new(&account, Some(&point));
        if run_under(&account, &stem, &tracer) {
            killed += 1;
            struck.extend(tracer.struck(&point, &stem));
        }
        ends_well(&account, &stem, &point, &expected);
    }
    // Which thread does what differs from run to run, so that a late point may not be reached.
    assert!(killed * 2 >= points.len(), "only {killed} of the points were reached");
    let missed: Vec<_> = steps.difference(&struck).collect();
    eprintln!("{killed} kills survived, at {} of {} steps", struck.len(), steps.len());
    if long() {
        eprintln!("never struck: {missed:#?}");
    }
}

pub fn long() -> bool {
    std::env::var_os("SFTP_IMPORT_TEST_LONG").is_some_and(|value| value == "1")
}

/// An account that is told by webhook as well.
pub fn account<'h>(host: &'h Host, id: &str) -> Account<'h> {
    let account = host.account(id);
    host.cli(&["webhook", "add", id, "crm", &host.catchers.url()]).ok();
    host.cli(&["account", "set", id, "--webhook", "crm"]).ok();
    account
}

/// What a batch comes to, how often each kind of call is made on the way, and the steps of it.
pub fn undisturbed(account: &Account<'_>) -> (Outcome, BTreeMap<String, usize>, BTreeSet<String>) {
    outcome::upload(account, "base");
    let tracer = Tracer::new(account, None);
    assert!(!run_under(account, "base", &tracer), "nothing was to strike");
    let expected = Outcome::of(account, "base");
    expected.check_sound();
    (expected, tracer.counts(), tracer.steps("base"))
}

/// Runs a daemon under `tracer` until it has ended, which is returned, or has done everything.
pub fn run_under(account: &Account<'_>, stem: &str, tracer: &Tracer) -> bool {
    let host = account.host;
    host.start_daemon_under(&tracer.words());
    let mut looks = 0;
    let ended = until("the daemon to end or be done", Duration::from_secs(240), || {
        let ended = host.daemon().as_mut().is_none_or(|daemon| daemon.ended().is_some());
        if ended {
            return Some(true);
        }
        looks += 1;
        if looks % 100 == 0 {
            nudge(account);
        }
        is_done(host, stem).then_some(false)
    });
    if let Some(daemon) = host.daemon().take() {
        daemon.signal(Signal::SIGTERM);
        drop(daemon); // and, as strace may outlive the signal, its whole family
    }
    ended
}

/// Makes the daemon look at the account now: what failed is tried again after 10 s otherwise.
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
        let swept = spooled(host).is_empty();
        (is_done(host, stem) && swept).then_some(())
    });
    host.stop_daemon();
    assert_eq!(&Outcome::of(account, stem), expected, "{point}");
}
