//! Tests of uploads in all states through the real sshd. No upload may be lost, and no incomplete
//! upload may be imported.
//!
//! The tests in `upload_ways` cover interrupted, resumed and renamed uploads, and manifests that
//! are uploaded first. The unit tests of `spool::claim` cover changes between the scan and the
//! claim.

use serde_json::Value;

use crate::support::account::Account;
use crate::support::host::{Host, SOON};
use crate::support::pair::{EVENTS_HEADER, Pair};
use crate::support::process::until;
use crate::support::sftp_script::Script;

const ROW: &str = "Purchased,1600000000,user@example.com,1.5,x\n";

/// Returns a host that waits only for open files, and for nothing else.
fn impatient() -> Host {
    let host = Host::new("[pairing]\ndata-file-grace = \"0s\"\nmanifest-quiet-period = \"0s\"\n");
    host.start_daemon();
    host
}

fn manifest(data_file: &str) -> String {
    serde_json::json!({
        "fileName": data_file, "type": "event", "clientEmail": "p@example.com",
        "columns": {"event_name": {"ctName": "evtName"}, "time_stamp": {"ctName": "ts"}},
    })
    .to_string()
}

fn failure(report: &Value) -> (&str, &str) {
    let text = |key: &str| report["failure"][key].as_str().unwrap_or_else(|| panic!("{report:#}"));
    (text("message"), text("detail"))
}

/// The data file is still open when its manifest is uploaded, and more records are written
/// afterwards. All records must be imported.
#[test]
fn the_manifest_waits_for_an_open_data_file() {
    let host = impatient();
    let account = host.account("e2e-open");
    let go_on = account.local().join("go-on");
    let code = format!(
        "f = sftp.open('e.csv', 'w'); f.write('{EVENTS_HEADER}\\n' + {ROW:?}); f.flush()\n\
         m = sftp.open('e.manifest', 'w'); m.write({:?}); m.close()\n\
         wait({:?})\n\
         f.write({ROW:?} * 2); f.close()",
        manifest("e.csv"),
        go_on
    );
    let mut client = Script::new(&account).start(&code);
    until("the manifest", SOON, || account.incoming().join("e.manifest").exists().then_some(()));
    import_another(&account);
    assert_eq!(host.query("SELECT manifest FROM import"), ["another.manifest"]);
    std::fs::write(&go_on, "").unwrap();
    assert!(client.wait(SOON).success());
    let report = account.report("e");
    assert_eq!(report["records"]["accepted"], 3, "{report:#}");
}

/// Imports another pair. Its scan also decides about the files that are already in incoming.
fn import_another(account: &Account<'_>) {
    account.import_all(&Pair::events(&account.local(), "another", 1), 1);
}

/// A handle that was opened for writing keeps the pair in incoming (see
/// `the_manifest_waits_for_an_open_data_file`). A handle that was opened for reading must not be
/// able to write or truncate after the claim. The name must not exist any more.
#[test]
fn open_handles_cannot_change_a_claimed_file() {
    let host = impatient();
    let account = host.account("e2e-held");
    let (go_on, local) = (account.local().join("go-on"), account.local());
    let pair = Pair::events(&local, "e", 3);
    let code = format!(
        "sftp.put({:?}, 'e.csv')\n\
         r = sftp.open('e.csv')\n\
         sftp.put({:?}, 'e.manifest', confirm=False)\n\
         wait({go_on:?})\n\
         try:\n    r.truncate(0); sys.exit(1)\n\
         except IOError: pass\n\
         try:\n    sftp.open('e.csv', 'r+'); sys.exit(2)\n\
         except IOError: pass",
        pair.data, pair.manifest
    );
    let mut client = Script::new(&account).start(&code);
    account.expect_accepted(&pair, 3);
    std::fs::write(&go_on, "").unwrap();
    assert!(client.wait(SOON).success(), "neither the handle nor the name may allow writing");
}

/// A file that is uploaded again after the claim is a new file. The running import must not use it.
#[test]
fn overwriting_after_the_claim_does_not_affect_imports() {
    let host = impatient();
    let account = host.account("e2e-overwritten");
    let pair = Pair::events(&account.local(), "e", 3);
    account.import_all(&pair, 3);
    let other = Pair::events(&account.local(), "other", 1);
    account.sftp(&format!("put {} e.csv\n", other.data.display())).ok();
    let import = account.report("e")["import"].as_str().unwrap().to_owned();
    assert_eq!(account.events(&import).len(), 3);
    assert!(
        account.incoming().join("e.csv").exists(),
        "the new file must wait for its own manifest"
    );
    account.sftp(&format!("put {} again.manifest\n", pair.manifest.display())).ok();
    assert_eq!(account.report("again")["records"]["accepted"], 1);
}

/// The upload of the manifest is interrupted in the middle and resumed. The incomplete manifest
/// must not be refused.
#[test]
fn a_resumed_manifest_is_not_refused() {
    let host = Host::new("[pairing]\nmanifest-quiet-period = \"10m\"\n");
    host.start_daemon();
    let account = host.account("e2e-half");
    let (go_on, text) = (account.local().join("go-on"), manifest("e.csv"));
    let (head, tail) = text.split_at(text.len() / 2);
    let code = format!(
        "f = sftp.open('e.csv', 'w'); f.write('{EVENTS_HEADER}\\n' + {ROW:?}); f.close()\n\
         m = sftp.open('e.manifest', 'w'); m.write({head:?}); m.close()\n\
         wait({go_on:?})\n\
         m = sftp.open('e.manifest', 'a'); m.write({tail:?}); m.close()"
    );
    let mut client = Script::new(&account).start(&code);
    until("half a manifest", SOON, || {
        let size = account.incoming().join("e.manifest").metadata().ok()?.len();
        (size == head.len() as u64).then_some(())
    });
    import_another(&account);
    assert_eq!(host.query("SELECT manifest FROM import"), ["another.manifest"]);
    std::fs::write(&go_on, "").unwrap();
    assert!(client.wait(SOON).success());
    assert_eq!(account.report("e")["records"]["accepted"], 1);
}

/// The first manifest gets the data file. The second manifest must be answered with the failure
/// that no data file was found.
#[test]
fn the_second_manifest_for_a_file_fails() {
    let host = impatient();
    let account = host.account("e2e-two");
    let pair = Pair::events(&account.local(), "e", 3);
    account.upload(&pair);
    account.sftp(&format!("put {} second.manifest\n", pair.manifest.display())).ok();
    account.expect_accepted(&pair, 3);
    let report = account.report("second");
    assert_eq!(failure(&report).0, "No data file found", "{report:#}");
    assert!(failure(&report).1.contains("e.csv"), "{report:#}");
}

/// The account deletes the data file while its manifest waits until the file is closed.
#[test]
fn a_data_file_deleted_before_claim_is_missing() {
    let host = impatient();
    let account = host.account("e2e-deleted");
    let code = format!(
        "f = sftp.open('e.csv', 'w'); f.write('x')\n\
         m = sftp.open('e.manifest', 'w'); m.write({:?}); m.close()\n\
         sftp.remove('e.csv'); f.close()\n\
         m = sftp.open('wake.csv', 'w'); m.close()",
        manifest("e.csv")
    );
    Script::new(&account).run(&code).ok();
    assert_eq!(failure(&account.report("e")).0, "No data file found");
}

/// The test uploads an empty file, a file with a hole, and a file that a hole makes one byte larger
/// than the limit.
#[test]
fn empty_and_sparse_files_are_answered() {
    let host = impatient();
    let account = host.account("e2e-sparse");
    let over = sftp_import::config::Limits::default().max_data_file.bytes() + 1;
    let head = format!("{EVENTS_HEADER}\\n{}", ROW.replace('\n', "\\n"));
    for (stem, text, size) in [("empty", "", 0), ("hole", &*head, 32 << 20), ("over", &*head, over)]
    {
        let code = format!(
            "f = sftp.open('{stem}.csv', 'w'); f.write('{text}'); f.truncate({size}); f.close()\n\
             m = sftp.open('{stem}.manifest', 'w'); m.write({:?}); m.close()",
            manifest(&format!("{stem}.csv"))
        );
        Script::new(&account).run(&code).ok();
    }
    for stem in ["empty", "over"] {
        let report = account.report(stem);
        assert_eq!(failure(&report).0, "File couldn't be read", "{report:#}");
    }
    assert!(
        failure(&account.report("over")).1.contains("5000000001"),
        "{:#}",
        account.report("over")
    );
    let report = account.report("hole");
    assert_eq!(report["records"]["accepted"], 1, "{report:#}");
    assert!(report["records"]["rejected"].as_u64().unwrap() > 0, "{report:#}");
}
