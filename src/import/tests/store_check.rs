//! Tests that a stored import is never reported as failed, even if it is interrupted before its
//! answer.

use std::fs;

use super::host::{EVENTS, Host, NOT_FINISHED};
use crate::config::Period;
use crate::import_id::ImportId;
use crate::report::FailureText;

const PROFILES: &str = "identity,A\na,1\n,2\n";

/// Runs an import of `csv` to its end. Then undoes its finishing transaction and restores its
/// spooled files, like `starts` crashes before that transaction.
fn cut_off(host: &Host, kind: &str, csv: &str, starts: u32) -> ImportId {
    host.upload("x", kind, csv);
    let import = host.claim();
    let folder = host.spooled(&import);
    let files = ["data", "manifest"].map(|name| (name, fs::read(folder.join(name)).unwrap()));
    assert_eq!(host.run(&import)["state"], "completed");
    host.sql(NOT_FINISHED);
    host.sql(&format!("UPDATE import SET starts = {starts}"));
    fs::create_dir(&folder).unwrap();
    for (name, content) in files {
        fs::write(folder.join(name), content).unwrap();
    }
    import
}

/// Regression: after three crashes between the store's commit and the end, the import was set aside
/// as failed.
#[test]
fn a_stored_import_runs_again_for_its_answer() {
    for (kind, csv) in [("event", EVENTS), ("profile", PROFILES)] {
        let host = Host::new();
        let import = cut_off(&host, kind, csv, 3);
        let report = host.run(&import);
        assert_eq!(report["state"], "completed", "{report:#}");
        assert_eq!(report["records"], serde_json::json!({"read": 2, "accepted": 1, "rejected": 1}));
        assert_eq!(report["warnings"], serde_json::json!([]));
        assert_eq!(report["errorFile"], "x.errors.csv");
    }
}

/// The run itself may cause the crashes. Therefore the import is not repeated forever.
#[test]
fn a_stored_import_is_answered_after_repeated_crashes() {
    for (kind, csv) in [("event", EVENTS), ("profile", PROFILES)] {
        let host = Host::new();
        let import = cut_off(&host, kind, csv, 6);
        let report = host.run(&import);
        assert_eq!(report["state"], "completed", "{report:#}");
        assert_eq!(report["records"]["accepted"], 1);
        let warning = report["warnings"][0].as_str().unwrap();
        assert!(warning.contains("records are stored") && warning.contains("6 times"), "{warning}");
        assert_eq!(host.mails(&import), ["import.picked_up", "import.completed"]);
    }
}

#[test]
fn a_stored_import_completes_without_its_files() {
    let host = Host::with(|config| config.imports.retry_for = Period::seconds(0));
    let import = cut_off(&host, "event", EVENTS, 1);
    fs::remove_dir_all(host.spooled(&import)).unwrap();
    let report = host.run(&import);
    assert_eq!(report["state"], "completed", "{report:#}");
    assert_eq!(report["records"]["accepted"], 1);
    assert_eq!(host.stored_events(), [format!("import={import}")]);
}

/// The records are not read again, so the store must know the range of their times.
#[test]
fn the_store_returns_the_range_of_timestamps() {
    let host = Host::with(|config| config.imports.retry_for = Period::seconds(0));
    let csv =
        "evtName,identity,ts\nA,a,1578503669\nA,a,1578503667\nA,,1578503600\nA,a,1578503668\n";
    let import = cut_off(&host, "event", csv, 1);
    fs::remove_dir_all(host.spooled(&import)).unwrap();
    let report = host.run(&import);
    assert_eq!(report["state"], "completed", "{report:#}");
    assert_eq!(report["firstTs"], "2020-01-08T17:14:27Z");
    assert_eq!(report["lastTs"], "2020-01-08T17:14:29Z");
}

/// If the store does not answer, the import is not reported.
#[test]
fn an_import_does_not_fail_without_the_store() {
    let host = Host::new();
    let import = cut_off(&host, "profile", PROFILES, 6);
    let database = host.stored().join("profiles.db");
    let aside = host.stored().join("aside");
    fs::rename(&database, &aside).unwrap();
    fs::write(&database, "not a database, but long enough to be taken for one by a reader")
        .unwrap();
    host.try_run(&import).unwrap_err();
    assert_eq!(host.row(&import).starts, 6, "the start must not be counted");
    fs::rename(&aside, &database).unwrap();
    assert_eq!(host.run(&import)["state"], "completed");
}

#[test]
fn an_import_without_stored_records_fails() {
    let host = Host::new();
    host.upload("x", "event", EVENTS);
    let import = host.claim();
    host.sql("UPDATE import SET state = 'running', starts = 3");
    assert_eq!(host.run(&import)["failure"]["message"], FailureText::Internal.as_str());
    assert!(host.stored_events().is_empty());
}
