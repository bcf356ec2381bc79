//! Tests of imports that make the daemon crash at the same step each time. An import that can't be
//! stored must be set aside after three starts. An import that is stored must never be reported as
//! failed.

use std::path::Path;

use serde_json::json;

use crate::support::account::Account;
use crate::support::host::{Host, SOON};
use crate::support::injection::{Fault, Point, Tracer};
use crate::support::pair::Pair;
use crate::support::process::until;

/// Starts the daemon so that it is killed at its first `call` on `path`. Waits until it is killed.
fn crash_at(account: &Account<'_>, call: &str, path: &Path) {
    let point = Point { call: call.into(), n: 1, every: None, fault: Fault::Kill };
    let host = account.host;
    host.start_daemon_under(&Tracer::on(host, &point, &[path.to_owned()]).words());
    until("the daemon to be killed", SOON, || {
        host.daemon().as_mut().is_none_or(|daemon| daemon.ended().is_some()).then_some(())
    });
    drop(host.daemon().take());
}

fn next_import(host: &Host) -> String {
    let config = std::fs::read_to_string(host.config()).unwrap();
    format!("{}-1", config.split('"').nth(1).unwrap())
}

#[test]
fn an_import_is_set_aside_after_crashes() {
    let host = Host::new("");
    let account = host.account("e2e-poison");
    let (poison, next) =
        (Pair::events(&account.local(), "a", 5), Pair::events(&account.local(), "b", 5));
    account.upload(&poison);
    account.upload(&next);
    let folder = host.state().join("data").join(&account.id).join(".unfinished");
    let part = folder.join(format!("import={}/part-00000.parquet", next_import(&host)));
    for _ in 0..3 {
        crash_at(&account, "write", &part);
    }
    host.start_daemon();
    let report = account.report("a");
    assert_eq!(report["state"], "failed");
    assert_eq!(report["failure"]["message"], "[Internal error] Error while importing data");
    account.expect_accepted(&next, 5);
    host.wait_until_quiet(SOON);
    let query = "SELECT type FROM milestone WHERE import LIKE '%-1' ORDER BY at";
    assert_eq!(host.query(query), ["import.picked_up", "import.failed"]);
    assert_eq!(host.query("SELECT starts FROM import WHERE stem = 'a'"), ["4"], "not for ever");
    assert_eq!(account.event_folders().len(), 1, "no record of the failed import may be stored");
}

#[test]
fn a_stored_import_is_never_set_aside() {
    let host = Host::new("");
    let account = host.account("e2e-stored");
    let pair = Pair::events_with(&account.local(), "a", 5, &[1]);
    account.upload(&pair);
    let answer = account.results().join(format!(".{}.answer.tmp", next_import(&host)));
    for _ in 0..4 {
        // A progress report precedes the storing of records. The progress report is not synced.
        crash_at(&account, "fsync", &answer);
        assert_eq!(account.event_folders().len(), 1, "the import must be stored");
    }
    host.start_daemon();
    let report = account.report("a");
    assert_eq!(report["state"], "completed", "{report:#}");
    assert_eq!(report["records"], json!({"read": 5, "accepted": 4, "rejected": 1}));
    assert_eq!(account.event_folders().len(), 1);
}
