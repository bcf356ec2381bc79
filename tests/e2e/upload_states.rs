//! Uploads in all their states, through the real sshd: none is lost, none is imported half.
//!
//! Others are in `upload_ways` (cut, resumed, renamed over, the manifest first) and in the unit
//! tests of `spool::claim` (what happens between seeing and claiming).

use std::time::Duration;

use serde_json::Value;

use crate::support::host::{Host, SOON};
use crate::support::pair::{EVENTS_HEADER, Pair};
use crate::support::process::until;
use crate::support::sftp_script::Script;

const ROW: &str = "Purchased,1600000000,user@example.com,1.5,x\n";

/// A host on which nothing is waited for but writers.
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

/// The data file is open when its manifest comes, and written to afterwards: all of it counts.
#[test]
fn a_data_file_still_open_is_waited_for() {
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
    std::thread::sleep(Duration::from_secs(1)); // time to do it wrong
    assert_eq!(host.query("SELECT count(*) FROM import"), ["0"]);
    std::fs::write(&go_on, "").unwrap();
    assert!(client.wait(SOON).success());
    let report = account.report("e");
    assert_eq!(report["records"]["accepted"], 3, "{report:#}");
}

/// One opened for writing keeps the pair in incoming (above). One for reading, used after the
/// claim, can neither write nor truncate; and the name is gone.
#[test]
fn an_open_handle_changes_no_claimed_file() {
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
    assert!(client.wait(SOON).success(), "the handle or the name could still write");
}

/// Uploaded again after the claim: a new file, which the import that runs has nothing to do with.
#[test]
fn overwriting_after_the_claim_changes_no_import() {
    let host = impatient();
    let account = host.account("e2e-overwritten");
    let pair = Pair::events(&account.local(), "e", 3);
    account.import_all(&pair, 3);
    let other = Pair::events(&account.local(), "other", 1);
    account.sftp(&format!("put {} e.csv\n", other.data.display())).ok();
    let import = account.report("e")["import"].as_str().unwrap().to_owned();
    assert_eq!(account.events(&import).len(), 3);
    assert!(account.incoming().join("e.csv").exists(), "it waits for a manifest of its own");
    account.sftp(&format!("put {} again.manifest\n", pair.manifest.display())).ok();
    assert_eq!(account.report("again")["records"]["accepted"], 1);
}

/// The manifest's upload is cut in its middle and resumed: it is not refused in between.
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
    std::thread::sleep(Duration::from_secs(1)); // time to do it wrong
    assert_eq!(host.query("SELECT count(*) FROM import"), ["0"]);
    std::fs::write(&go_on, "").unwrap();
    assert!(client.wait(SOON).success());
    assert_eq!(account.report("e")["records"]["accepted"], 1);
}

/// The first gets the file, the other is answered that there is none.
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

/// Deleted by the account while its manifest waits for it to be closed.
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

/// Empty, with a hole, and a hole that makes it a byte larger than may be imported.
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
