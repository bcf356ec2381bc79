//! A claimed manifest keeps its name for a while, and nobody takes it for an upload.

use std::fs::{self, File, FileTimes};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::host::{EVENTS, Host, names};
use crate::config::{Period, Size};
use crate::import_id::ImportId;
use crate::report::ImportState;
use crate::state::{Before, copy, imports, replace};

/// Longer than a test takes.
const LONG: Period = Period::seconds(600);

/// More than a tick of the file system's clock.
const TICK: Duration = Duration::from_millis(15);

fn lingering() -> Host {
    Host::with(|config| config.pairing.linger = LONG)
}

/// As the host goes on when `linger` is over.
fn is_over(host: Host) -> Host {
    let mut host = host.reopened(|| {});
    let mut config = (*host.engine.config).clone();
    config.pairing.linger = Period::seconds(0);
    host.engine.config = std::sync::Arc::new(config);
    host
}

fn set_time(host: &Host, name: &str) {
    std::thread::sleep(TICK);
    let times = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1));
    File::open(host.incoming().join(name)).unwrap().set_times(times).unwrap();
}

fn imports_of(host: &Host) -> i64 {
    let count = |sql: &str| {
        let read = |tx: &crate::state::Transaction<'_>| {
            Ok::<_, crate::state::Error>(tx.query_row(sql, [], |row| row.get(0))?)
        };
        host.engine.state.read(read).unwrap()
    };
    count("SELECT count(*) FROM import")
}

/// The one import that comes of a look, and why it is refused.
#[track_caller]
fn refusal(host: &Host) -> String {
    let import = host.claim();
    host.row(&import).refusal.expect("it is refused").to_string()
}

#[test]
fn a_manifest_keeps_its_name_and_is_swept_without_a_word() {
    let host = lingering();
    host.upload("e", "event", EVENTS);
    let looked = host.look();
    assert_eq!((looked.queued.len(), looked.again), (1, Some(LONG.get())));
    let import = looked.queued[0].id.clone();
    assert_eq!(names(host.incoming()), ["e.manifest"]);
    assert_eq!(host.run(&import)["state"], "completed");
    set_time(&host, "e.manifest");
    let (log, answers) = (host.log(&import), names(host.results("")));
    let looked = host.look();
    assert!(looked.queued.is_empty() && looked.again.unwrap() < LONG.get(), "{looked:?}");
    assert_eq!(names(host.incoming()), ["e.manifest"]);
    let host = is_over(host);
    assert_eq!(host.look().again, None);
    assert!(names(host.incoming()).is_empty() && names(host.engine.layout.spool()).is_empty());
    assert_eq!((host.log(&import), names(host.results(""))), (log, answers));
    assert_eq!(imports_of(&host), 1);
}

#[test]
fn without_a_time_to_linger_it_goes_with_the_claim() {
    let host = Host::new();
    host.upload("e", "event", EVENTS);
    assert_eq!(host.look().again, None);
    assert!(names(host.incoming()).is_empty());
}

#[test]
fn a_refused_manifest_lingers_too() {
    let host = lingering();
    host.put("e.manifest", "no JSON");
    let import = host.claim();
    assert_eq!(host.run(&import)["state"], "failed");
    assert!(host.look().queued.is_empty());
    assert!(is_over(host).look().queued.is_empty());
}

#[test]
fn its_name_is_spent_for_whatever_is_written_to_it() {
    let set = |host: &Host| {
        host.upload("e", "event", EVENTS);
        set_time(host, "e.manifest");
    };
    let other = |host: &Host| {
        host.put("e.manifest", "{ }");
        set_time(host, "e.manifest");
    };
    let again = |host: &Host| host.upload("e", "event", EVENTS);
    let alone = |host: &Host| host.put_manifest("e", "event");
    let renamed = |host: &Host| {
        let path = host.incoming().join("e.manifest");
        fs::copy(&path, host.incoming().join("new")).unwrap();
        fs::rename(host.incoming().join("new"), path).unwrap();
    };
    for write in [&set as &dyn Fn(&Host), &other, &again, &alone, &renamed] {
        let host = lingering();
        host.upload("e", "event", EVENTS);
        let import = host.claim();
        std::thread::sleep(TICK);
        write(&host);
        let refusal = refusal(&host);
        assert!(refusal.contains(&format!("used before, by import {import}")), "{refusal}");
        assert!(!host.incoming().join("e.manifest").exists(), "it goes at once");
    }
}

#[test]
fn the_next_data_file_may_have_the_same_name() {
    let host = lingering();
    let manifest = serde_json::json!({
        "fileName": "data.csv", "type": "event", "clientEmail": "p@example.com",
    });
    for n in 0..3 {
        host.put("data.csv", EVENTS);
        assert!(host.look().queued.is_empty(), "{n}");
        host.put(&format!("{n}.manifest"), &manifest.to_string());
        let import = host.claim();
        assert_eq!(host.row(&import).refusal, None);
        set_time(&host, &format!("{n}.manifest"));
        std::thread::sleep(TICK);
    }
    assert_eq!(names(host.incoming()), ["0.manifest", "1.manifest", "2.manifest"]);
}

#[test]
fn what_lingers_is_not_counted() {
    let host = Host::with(|config| {
        config.pairing.linger = LONG;
        config.limits.max_waiting_files = 1;
        config.limits.max_waiting_bytes = Size::from_bytes(1);
    });
    for n in 0..5 {
        fs::write(host.incoming().join(format!("{n}.manifest")), "{}").unwrap();
    }
    host.sql("DELETE FROM activity");
    assert_eq!(host.look().queued.len(), 5);
    host.look();
    assert!(!host.results("INCOMING-FULL.txt").exists());
    host.put("junk", "xx");
    host.look();
    assert!(host.results("INCOMING-FULL.txt").exists());
}

#[test]
fn a_stream_of_imports_leaves_so_many_names_and_no_more() {
    let host = lingering();
    for n in 0..30 {
        for m in 0..10 {
            fs::write(host.incoming().join(format!("{n:02}-{m}.manifest")), "{}").unwrap();
        }
        host.look();
    }
    host.look();
    let left = names(host.incoming());
    assert_eq!(left.len(), 100);
    assert_eq!(left[0], "20-0.manifest", "the earliest went first");
}

#[test]
fn what_a_crash_left_of_a_sweep_goes_back_and_is_swept() {
    let host = lingering();
    host.upload("e", "event", EVENTS);
    let import = host.claim();
    let left = host.engine.layout.spool().join(format!("{import}.lingered"));
    fs::rename(host.incoming().join("e.manifest"), &left).unwrap();
    let host = is_over(host);
    host.engine.sweep(Timestamp::now()).unwrap();
    assert_eq!(names(host.incoming()), ["e.manifest"]);
    assert!(host.look().queued.is_empty());
    assert!(names(host.incoming()).is_empty() && !left.exists());
}

/// Cut off after the row, before the copy.
#[test]
fn a_claim_that_was_cut_off_copies_once_more() {
    let host = lingering();
    host.upload("e", "event", EVENTS);
    let import = host.claim();
    fs::remove_file(host.spooled(&import).join("manifest")).unwrap();
    host.sql("UPDATE import SET state = 'claiming'");
    assert_eq!(host.claim(), import);
    assert_eq!(host.run(&import)["state"], "completed");
    assert_eq!(names(host.incoming()), ["e.manifest"]);
}

#[test]
fn a_state_database_that_was_put_back_answers_no_lingering_manifest_again() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("saved");
    let host = lingering();
    host.upload("known", "event", EVENTS);
    let known = host.claim();
    copy::backup(&host.engine.config.paths.state_db(), &saved).unwrap();
    let ended: Vec<ImportId> = ["ended", "waits"]
        .map(|stem| {
            host.upload(stem, "event", EVENTS);
            host.claim()
        })
        .into();
    host.run(&ended[0]);
    host.put_manifest("alone", "event");
    let database = host.engine.config.paths.state_db();
    let host = host.reopened(|| drop(replace(&database, &saved, Timestamp::now()).unwrap()));
    host.engine.adopt(&Before::default(), Timestamp::now()).unwrap();
    assert_eq!(names(host.incoming()), ["alone.manifest", "known.manifest"]);
    let row = host.engine.state.read(|tx| imports::get::<crate::spool::Claim>(tx, known.as_str()));
    assert_eq!(row.unwrap().unwrap().state, ImportState::Queued);
    assert!(is_over(host).look().queued.len() == 1, "that which nobody has taken");
}
