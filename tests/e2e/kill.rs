//! SIGKILL at any durable step of an import, then a normal start: the same end, nothing doubled.
//!
//! strace kills the daemon as it enters the nth call of one kind in one of its threads, before the
//! call has an effect. An undisturbed run under strace counts the calls; the points are spread over
//! them. Each point imports one pair of events and one of profiles of its own, so that the state
//! database, the store and results/ grow through all of the kills and are compared for each.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::account::Account;
use crate::host::{Host, SOON, text};
use crate::pair::Pair;
use crate::process::until;

/// Calls after which something is different on disk, or known to be there.
const DURABLE: &str = "rename,renameat,renameat2,fsync,fdatasync,unlink,unlinkat,mkdir,mkdirat,\
    link,linkat,pwrite64,write,ftruncate,fchmod,openat";
/// How many points are tried in all; each takes a second or two.
const POINTS: usize = 60;
const EVENTS: usize = 40;
const PROFILES: usize = 10;

#[test]
fn a_kill_at_any_step_changes_nothing() {
    let host = Host::new("");
    let account = host.account("e2e-kill");
    webhook(&account);
    let log = host.root.join("log/strace");
    let filter = format!("trace={DURABLE}");
    let undisturbed =
        run_with_point(&account, "base", &["strace", "-f", "-qq", "-o", text(&log), "-e", &filter]);
    assert!(!undisturbed.killed);
    let expected = outcome(&account, "base");
    check_sound(&expected);
    let mut killed = 0;
    for (i, (call, n)) in points(&log).into_iter().enumerate() {
        let stem = format!("k{i}");
        let inject = format!("inject={call}:signal=SIGKILL:when={n}");
        let null = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject];
        let run = run_with_point(&account, &stem, &null);
        killed += usize::from(run.killed);
        host.start_daemon();
        until(&format!("{stem}, killed at {call} number {n}"), SOON, || {
            host.check_daemon();
            all_is_done(&host, &stem).then_some(())
        });
        host.stop_daemon();
        assert_eq!(outcome(&account, &stem), expected, "killed at {call} number {n}");
    }
    // Counts differ a little from run to run, so a late point may lie behind the end.
    assert!(killed * 10 >= POINTS * 8, "only {killed} of the points were reached");
    eprintln!("{killed} kills survived");
}

struct Run {
    killed: bool,
}

/// Uploads the pairs of `stem` while no daemon runs, then runs one under `tracer` until it is
/// killed or has done everything.
fn run_with_point(account: &Account<'_>, stem: &str, tracer: &[&str]) -> Run {
    let host = account.host;
    let folder = account.local();
    account.upload(&Pair::events_with(&folder, &format!("{stem}-e"), EVENTS, &[3, 9]));
    account.upload(&Pair::profiles(&folder, &format!("{stem}-p"), PROFILES));
    host.start_daemon_under(tracer);
    let killed = until("the daemon to be killed or done", Duration::from_secs(120), || {
        let ended = host.daemon().as_mut().is_none_or(|daemon| daemon.ended().is_some());
        if ended { Some(true) } else { all_is_done(host, stem).then_some(false) }
    });
    if let Some(daemon) = host.daemon().take() {
        daemon.signal(Signal::SIGTERM);
        drop(daemon); // and, as strace may outlive the signal, its whole family
    }
    Run { killed }
}

/// Both imports of `stem` are completed, and nothing is left to deliver.
fn all_is_done(host: &Host, stem: &str) -> bool {
    let done = host.query(&format!(
        "SELECT (SELECT count(*) FROM import WHERE state = 'completed' AND manifest LIKE '{stem}-%')
              - (SELECT count(*) FROM delivery WHERE state = 'pending')"
    ));
    done == ["2"]
}

/// Which calls to kill at: every kind of call that was seen, an even spread over its count in the
/// thread that made most of them. (strace counts per thread.)
fn points(log: &Path) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for line in std::fs::read_to_string(log).unwrap().lines() {
        let mut words = line.splitn(2, char::is_whitespace);
        let (Some(thread), Some(rest)) = (words.next(), words.next()) else { continue };
        let Some((call, _)) = rest.trim_start().split_once('(') else { continue };
        if !call.is_empty() && call.bytes().all(|b| b.is_ascii_alphanumeric()) {
            *counts.entry(call.into()).or_default().entry(thread.into()).or_default() += 1;
        }
    }
    let most = counts.into_iter().map(|(call, by)| (call, by.into_values().max().unwrap_or(0)));
    let all: Vec<_> = most.flat_map(|(call, n)| (1..=n).map(move |i| (call.clone(), i))).collect();
    assert!(!all.is_empty(), "strace saw nothing");
    let take = all.len().min(POINTS);
    (0..take).map(|i| all[i * all.len() / take].clone()).collect()
}

/// What a pair of pairs came to, in words that are the same for every stem.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// Rows of the import table.
    imports: Vec<String>,
    events: Vec<String>,
    event_folders: usize,
    profiles: Vec<String>,
    reports: Vec<Value>,
    error_file: String,
    /// Everything in results/ of these pairs.
    results: Vec<String>,
    /// Per import, milestone and channel: how many ids came at least once.
    deliveries: BTreeMap<String, usize>,
    left_in_incoming: usize,
    left_in_spool: Vec<String>,
}

fn check_sound(outcome: &Outcome) {
    assert_eq!(outcome.imports.len(), 2, "{outcome:#?}");
    assert_eq!(outcome.events.len(), EVENTS - 2, "{outcome:#?}");
    assert_eq!(outcome.profiles.len(), PROFILES, "{outcome:#?}");
    assert_eq!(outcome.deliveries.len(), 4, "two imports, two milestones: {outcome:#?}");
    assert!(outcome.deliveries.values().all(|&ids| ids == 1), "{outcome:#?}");
    assert!(outcome.error_file.lines().count() == 3, "{outcome:#?}");
}

fn outcome(account: &Account<'_>, stem: &str) -> Outcome {
    let host = account.host;
    let of_stem = format!("WHERE manifest LIKE '{stem}-%' ORDER BY n");
    let ids = host.query(&format!("SELECT id FROM import {of_stem}"));
    let row = "manifest || ' ' || state || ' ' || data_file || ' ' || type";
    let imports = host.query(&format!("SELECT {row} FROM import {of_stem}"));
    let plain = |text: &str| text.replace(stem, "STEM");
    let folders = account.event_folders();
    let error_file =
        std::fs::read_to_string(account.results().join(format!("{stem}-e.errors.csv")));
    Outcome {
        imports: imports.iter().map(|row| plain(row)).collect(),
        events: ids.iter().flat_map(|import| account.events(import)).collect(),
        event_folders: ids.iter().filter(|id| folders.contains(&format!("import={id}"))).count(),
        profiles: account.profiles(&format!("{stem}-p.")).iter().map(|row| plain(row)).collect(),
        reports: ["e", "p"]
            .map(|kind| timeless(account.report(&format!("{stem}-{kind}")), stem))
            .into(),
        error_file: error_file.unwrap_or_default(),
        results: names(&account.results(), &format!("{stem}-")).iter().map(|n| plain(n)).collect(),
        deliveries: deliveries(host, &ids),
        left_in_incoming: names(&account.incoming(), "").len(),
        left_in_spool: names(&host.accounts().join(".spool"), "")
            .into_iter()
            .filter(|name| ids.iter().any(|id| name.starts_with(id.as_str()) && name != id))
            .collect(),
    }
}

/// A report without what must differ: the id and the times.
fn timeless(mut report: Value, stem: &str) -> Value {
    for key in ["import", "receivedAt", "startedAt", "finishedAt", "sha256", "bytes"] {
        report.as_object_mut().unwrap().remove(key);
    }
    serde_json::from_str(&report.to_string().replace(stem, "STEM")).unwrap()
}

fn names(folder: &Path, prefix: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name());
    let names = entries.map(|name| name.into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.starts_with(prefix)).collect();
    names.sort();
    names
}

/// How many different webhook-ids came for each milestone of these imports.
fn deliveries(host: &Host, imports: &[String]) -> BTreeMap<String, usize> {
    let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for request in host.catchers.requests() {
        let body: Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
        let import = body["data"]["import"].as_str().unwrap();
        if let Some(place) = imports.iter().position(|id| id == import) {
            let key = format!("{place} {}", body["type"].as_str().unwrap());
            let id = request["headers"]["webhook-id"].to_string();
            let seen = ids.entry(key).or_default();
            if !seen.contains(&id) {
                seen.push(id);
            }
        }
    }
    ids.into_iter().map(|(key, seen)| (key, seen.len())).collect()
}

fn webhook(account: &Account<'_>) {
    let host = account.host;
    host.cli(&["webhook", "add", &account.id, "crm", &host.catchers.url()]).ok();
    host.cli(&["account", "set", &account.id, "--webhook", "crm"]).ok();
}
