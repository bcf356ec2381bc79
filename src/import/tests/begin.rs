//! An import that begins with its claim.

use std::fs;

use jiff::Timestamp;

use super::host::{EVENTS, Host};
use crate::config::Period;
use crate::import::Looked;
use crate::import_id::ImportId;
use crate::report::ImportState;
use crate::state::{copy, replace};

const WHOLE: [&str; 3] = ["import.claimed", "import.picked_up", "import.completed"];

fn look(host: &Host) -> Looked {
    host.engine.look(&host.account, true).unwrap()
}

/// An import that has begun with its claim, and whose manifest lingers.
fn begun() -> (Host, ImportId) {
    let host = Host::with(|config| config.pairing.linger = Period::seconds(600));
    host.upload("e", "event", EVENTS);
    let import = look(&host).queued[0].id.clone();
    assert!(kept(&host, &import).contains("e.csv"));
    assert!(!host.spooled(&import).join("manifest").exists());
    (host, import)
}

/// The manifest in the row.
fn kept(host: &Host, import: &ImportId) -> String {
    host.column("SELECT coalesce(manifest_text, '') FROM import WHERE id = ?1", import).remove(0)
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
fn its_manifest_is_in_the_row_until_it_is_in_the_spool() {
    let (host, import) = begun();
    host.put("e.manifest", "the account's to change");
    let host = host.reopened(|| {});
    fs::write(host.spooled(&import).join("manifest"), "{").unwrap(); // half of a copy
    assert_eq!(host.run(&import)["state"], "completed");
    assert_eq!(kept(&host, &import), "");
}

#[test]
fn what_does_not_run_is_whole_in_the_spool() {
    let (host, import) = begun();
    host.engine.put_back_begun().unwrap();
    let manifest = fs::read_to_string(host.spooled(&import).join("manifest")).unwrap();
    assert_eq!(manifest, kept(&host, &import));
    assert_eq!(host.run(&import)["state"], "completed");
    assert_eq!(kept(&host, &import), "");
}

#[test]
fn one_that_failed_can_be_run_again() {
    let host = Host::with(|config| config.pairing.linger = Period::seconds(600));
    host.upload("e", "event", &EVENTS.replace("evtName", "other"));
    let import = look(&host).queued[0].id.clone();
    let manifest = fs::read_to_string(host.incoming().join("e.manifest")).unwrap();
    assert_eq!(
        (host.run(&import)["state"].as_str(), kept(&host, &import)),
        (Some("failed"), "".into())
    );
    assert_eq!(fs::read_to_string(host.spooled(&import).join("manifest")).unwrap(), manifest);
}

#[test]
fn a_state_database_that_is_put_back_takes_the_manifest_from_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("saved");
    let host = Host::with(|config| config.pairing.linger = Period::seconds(600));
    let database = host.engine.config.paths.state_db();
    copy::backup(&database, &saved).unwrap();
    host.upload("e", "event", EVENTS);
    let import = look(&host).queued[0].id.clone();
    let manifest = kept(&host, &import);
    let mut before = None;
    let host = host.reopened(|| {
        before = Some(replace(&database, &saved, Timestamp::now()).unwrap().before);
    });
    let before = before.unwrap();
    assert_eq!(before.manifests, [(import.clone(), manifest.clone())]);
    let adopted = host.engine.adopt(&before, Timestamp::now()).unwrap();
    assert_eq!(adopted.unknown, std::slice::from_ref(&import));
    assert_eq!(fs::read_to_string(host.spooled(&import).join("manifest")).unwrap(), manifest);
    assert!(
        !host.incoming().join("e.manifest").exists(),
        "nobody is told that it has no data file"
    );
}

#[test]
fn one_that_may_start_once_does_not_begin_with_its_claim() {
    let host = Host::with(|config| config.imports.max_starts = 1);
    host.upload("e", "event", EVENTS);
    let looked = look(&host);
    assert!(!looked.begun && host.row(&looked.queued[0].id).starts == 0);
}
