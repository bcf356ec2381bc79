//! Tests of imports that begin with their claim.

use super::host::{EVENTS, Host};
use crate::import::Looked;
use crate::report::ImportState;

const WHOLE: [&str; 3] = ["import.claimed", "import.picked_up", "import.completed"];

fn look(host: &Host) -> Looked {
    host.engine.look(&host.account, true).unwrap()
}

#[test]
fn begins_once_and_ends_like_any_other() {
    let host = Host::new();
    host.upload("e", "event", EVENTS);
    let looked = look(&host);
    let import = looked.queued[0].id.clone();
    let row = host.row(&import);
    assert!(looked.begun && row.started_at.is_some());
    assert_eq!((row.state, row.starts), (ImportState::Running, 1));
    assert_eq!(host.log(&import), WHOLE[..2]);
    assert_eq!(host.mails(&import), ["import.picked_up"]);
    assert_eq!(host.run(&import)["state"], "completed");
    assert_eq!((host.row(&import).starts, host.log(&import)), (1, WHOLE.map(str::to_owned).into()));
}

#[test]
fn a_crash_before_its_run_is_one_in_it() {
    let host = Host::new();
    host.upload("e", "event", EVENTS);
    let import = look(&host).queued[0].id.clone();
    let host = host.reopened(|| {});
    assert_eq!(host.run(&import)["state"], "completed");
    assert_eq!(host.row(&import).starts, 2);
    assert_eq!(host.log(&import), WHOLE);
    assert_eq!(host.mails(&import), ["import.picked_up", "import.completed"]);
}

#[test]
fn a_stop_before_its_run_is_not_counted() {
    let host = Host::new();
    host.upload("e", "event", EVENTS);
    let import = look(&host).queued[0].id.clone();
    host.engine.put_back_begun().unwrap();
    let row = host.row(&import);
    assert_eq!((row.state, row.starts), (ImportState::Queued, 0));
    assert_eq!(host.run(&import)["state"], "completed");
    assert_eq!((host.row(&import).starts, host.log(&import)), (1, WHOLE.map(str::to_owned).into()));
}

#[test]
fn only_the_first_does_and_none_that_is_refused_or_heavy_or_was_cut_off() {
    let host = Host::new();
    host.upload("a", "event", EVENTS);
    host.upload("b", "event", EVENTS);
    let queued = look(&host).queued;
    let states = [&queued[0], &queued[1]].map(|import| host.row(&import.id).state);
    assert_eq!(states, [ImportState::Running, ImportState::Queued]);
    host.put("c.manifest", "no JSON");
    assert!(!look(&host).begun);
    host.upload("d", "event", &EVENTS.repeat((1 << 20) / EVENTS.len() + 1));
    assert!(!look(&host).begun);
    host.upload("e", "event", EVENTS);
    let import = look(&host).queued[0].id.clone();
    host.sql("UPDATE import SET state = 'claiming' WHERE state = 'running'");
    let looked = look(&host);
    assert!(looked.queued.iter().any(|queued| queued.id == import) && !looked.begun);
    assert_eq!(host.row(&import).state, ImportState::Queued);
}

#[test]
fn one_that_may_start_once_does_not_begin_with_its_claim() {
    let host = Host::with(|config| config.imports.max_starts = 1);
    host.upload("e", "event", EVENTS);
    let looked = look(&host);
    assert!(!looked.begun && host.row(&looked.queued[0].id).starts == 0);
}
