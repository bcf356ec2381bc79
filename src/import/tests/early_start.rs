//! Tests of imports that begin with their claim.

use super::host::{EVENTS, Host};
use crate::import::ScanOutcome;
use crate::report::ImportState;

const WHOLE: [&str; 3] = ["import.claimed", "import.picked_up", "import.completed"];

fn scan(host: &Host) -> ScanOutcome {
    host.importer.scan(&host.account, true).unwrap()
}

#[test]
fn an_early_started_import_completes_normally() {
    let host = Host::new();
    host.upload("e", "event", EVENTS);
    let outcome = scan(&host);
    let import = outcome.queued[0].id.clone();
    let row = host.row(&import);
    assert!(outcome.has_begun && row.started_at.is_some());
    assert_eq!((row.state, row.starts), (ImportState::Running, 1));
    assert_eq!(host.log(&import), WHOLE[..2]);
    assert_eq!(host.mails(&import), ["import.picked_up"]);
    assert_eq!(host.run(&import)["state"], "completed");
    assert_eq!((host.row(&import).starts, host.log(&import)), (1, WHOLE.map(str::to_owned).into()));
}

#[test]
fn a_crash_before_the_run_counts_as_start() {
    let host = Host::new();
    host.upload("e", "event", EVENTS);
    let import = scan(&host).queued[0].id.clone();
    let host = host.reopened(|| {});
    assert_eq!(host.run(&import)["state"], "completed");
    assert_eq!(host.row(&import).starts, 2);
    assert_eq!(host.log(&import), WHOLE);
    assert_eq!(host.mails(&import), ["import.picked_up", "import.completed"]);
}

#[test]
fn a_stopped_early_start_is_not_counted() {
    let host = Host::new();
    host.upload("e", "event", EVENTS);
    let import = scan(&host).queued[0].id.clone();
    host.importer.requeue_early_starts().unwrap();
    let row = host.row(&import);
    assert_eq!((row.state, row.starts), (ImportState::Queued, 0));
    assert_eq!(host.run(&import)["state"], "completed");
    assert_eq!((host.row(&import).starts, host.log(&import)), (1, WHOLE.map(str::to_owned).into()));
}

#[test]
fn only_the_first_light_import_begins_early() {
    let host = Host::new();
    host.upload("a", "event", EVENTS);
    host.upload("b", "event", EVENTS);
    let queued = scan(&host).queued;
    let states = [&queued[0], &queued[1]].map(|import| host.row(&import.id).state);
    assert_eq!(states, [ImportState::Running, ImportState::Queued]);
    host.put("c.manifest", "no JSON");
    assert!(!scan(&host).has_begun);
    host.upload("d", "event", &EVENTS.repeat((1 << 20) / EVENTS.len() + 1));
    assert!(!scan(&host).has_begun);
    host.upload("e", "event", EVENTS);
    let import = scan(&host).queued[0].id.clone();
    host.sql("UPDATE import SET state = 'claiming' WHERE state = 'running'");
    let outcome = scan(&host);
    assert!(outcome.queued.iter().any(|queued| queued.id == import) && !outcome.has_begun);
    assert_eq!(host.row(&import).state, ImportState::Queued);
}

#[test]
fn early_starts_are_disabled_with_one_allowed_start() {
    let host = Host::with(|config| config.imports.max_starts = 1);
    host.upload("e", "event", EVENTS);
    let outcome = scan(&host);
    assert!(!outcome.has_begun && host.row(&outcome.queued[0].id).starts == 0);
}
