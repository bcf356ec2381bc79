//! Tests of backup, restore, export and erasure on a running host, while partners upload files.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use serde_json::Value;

use crate::support::account::Account;
use crate::support::host::{Host, SOON, text};
use crate::support::pair::Pair;
use crate::support::process::until;

/// Stops the background work of a test on drop, even after a panic. Otherwise the thread scope
/// would wait for the work forever.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Runs `work` while `account` uploads one pair after another. Returns the number of uploaded
/// pairs.
fn while_uploading(account: &Account<'_>, work: impl FnOnce()) -> usize {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let uploads = scope.spawn(|| {
            let mut n = 0;
            while !stop.load(Relaxed) {
                let (event, profile) = (format!("e{n:03}"), format!("p{n:03}"));
                account.upload(&Pair::events(&account.local(), &event, 20));
                account.upload(&Pair::profiles(&account.local(), &profile, 5));
                n += 1;
            }
            n
        });
        let stopping = StopOnDrop(&stop);
        work();
        drop(stopping);
        uploads.join().unwrap()
    })
}

fn completed(host: &Host) -> usize {
    host.query("SELECT count(*) FROM import WHERE state = 'completed'")[0].parse().unwrap()
}

#[test]
fn a_backup_during_uploads_restores_without_loss() {
    let host = Host::running();
    let account = host.account("e2e-backup");
    let saved = host.root.join("saved.db");
    let uploaded = while_uploading(&account, || {
        until("a few imports", SOON, || (completed(&host) >= 3).then_some(()));
        host.cli(&["backup", text(&saved)]).ok();
        let refused = host.cli(&["restore", text(&saved)]).refused();
        assert!(refused.stderr.contains("the daemon is running"), "{refused:#?}");
        let rows = || host.query("SELECT count(*) FROM import")[0].parse::<usize>().unwrap();
        let at_backup = rows();
        until("an import after the backup", SOON, || (rows() > at_backup).then_some(()));
    });
    let all = || host.query("SELECT id FROM import ORDER BY n");
    until("all uploads to be claimed", SOON, || (all().len() == 2 * uploaded).then_some(()));
    host.wait_until_quiet(SOON);
    let imports = all();
    let rows: usize = imports.iter().map(|import| account.events(import).len()).sum();
    host.stop_daemon();
    host.cli(&["restore", text(&saved)]).ok();
    assert!(completed(&host) < imports.len(), "the last uploads must be missing in the backup");
    host.start_daemon();
    assert!(account.can_log_in());

    // New uploads get import numbers that the store has never used. Stored data does not change.
    account.import_all(&Pair::events(&account.local(), "after", 7), 7);
    host.wait_until_quiet(SOON);
    let after = host.query("SELECT id FROM import WHERE manifest = 'after.manifest'");
    assert!(!imports.contains(&after[0]), "{after:?} was already used");
    assert_eq!(account.events(&after[0]).len(), 7);
    let still: usize = imports.iter().map(|import| account.events(import).len()).sum();
    assert_eq!((still, rows), (rows, 20 * uploaded));
    assert_eq!(host.query("SELECT count(*) FROM import WHERE state = 'failed'"), ["0"]);
}

#[test]
fn an_export_during_uploads_contains_complete_imports() {
    let host = Host::running();
    let account = host.account("e2e-export");
    while_uploading(&account, || {
        for n in 0..3 {
            let before = completed(&host);
            until("an import", SOON, || (completed(&host) > before).then_some(()));
            let to = host.root.join(format!("export-{n}"));
            host.cli(&["account", "export", &account.id, text(&to)]).ok();
            let imports = fs::read_to_string(to.join("state/import.jsonl")).unwrap();
            let imports: Vec<Value> =
                imports.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let profiles = rusqlite::Connection::open(to.join("store/profiles.db")).unwrap();
            for import in imports {
                let id = import["id"].as_str().unwrap();
                let events = to.join(format!("store/events/import={id}/part-00000.parquet"));
                match (import["state"].as_str(), import["type"].as_str()) {
                    (Some("completed"), Some("event")) => assert!(events.exists(), "{import:#}"),
                    (Some("completed"), _) => {
                        let sql = "SELECT records FROM checkpoint WHERE import = ?1";
                        let records: i64 = profiles.query_row(sql, [id], |row| row.get(0)).unwrap();
                        assert_eq!(records, 10, "{import:#}");
                    }
                    _ => assert!(!events.exists(), "{import:#}"),
                }
            }
        }
    });
    host.wait_until_quiet(SOON);
}

/// The number of records. The import must still be running when the erasure begins.
const RECORDS: usize = 600_000;

#[test]
fn an_account_is_erased_during_its_import() {
    let host = Host::running();
    let (account, other) = (host.account("e2e-erase"), host.account("e2e-erase-other"));
    other.import_all(&Pair::events(&other.local(), "mine", 3), 3);
    let mine = host.query("SELECT id FROM import WHERE account = 'e2e-erase-other'").remove(0);
    account.import_all(&Pair::profiles(&account.local(), "first", 10), 20);
    let mut pairs = vec![Pair::events(&account.local(), "large", RECORDS)];
    pairs.extend((0..3).map(|n| Pair::events(&account.local(), &format!("behind{n}"), 3)));
    // The manifests follow the data files immediately, because the first import must still be
    // running when the last manifest arrives.
    let data = pairs.iter().map(|pair| &pair.data);
    let files = data.chain(pairs.iter().map(|pair| &pair.manifest));
    let batch: Vec<String> = files.map(|file| format!("put {}\n", file.display())).collect();
    account.sftp(&batch.concat()).ok();
    let running = "SELECT count(*) FROM import WHERE state = 'running'";
    until("the import to run", SOON, || (host.query(running) == ["1"]).then_some(()));
    let output = host.cli(&["account", "erase", &account.id, "--yes"]).ok();
    eprintln!("the erasure waited for an import: {}", output.stdout.contains("waiting for import"));
    let left = "SELECT group_concat(action) FROM activity WHERE account = 'e2e-erase'";
    assert_eq!(host.query(left), ["account.erased"]);
    for table in ["import", "milestone", "manifest_name", "key", "account"] {
        let column = if table == "account" { "id" } else { "account" };
        let sql = format!("SELECT count(*) FROM {table} WHERE {column} = 'e2e-erase'");
        assert_eq!(host.query(&sql), ["0"], "{table}");
    }
    assert!(!host.state().join("data").join(&account.id).exists());
    assert!(!host.accounts().join(&account.id).exists());
    until("the spool to be empty", SOON, || {
        crate::support::outcome::spooled(&host).is_empty().then_some(())
    });
    assert!(!account.can_log_in());

    // The daemon is still running, and must restore nothing of the account.
    other.import_all(&Pair::events(&other.local(), "again", 3), 3);
    host.wait_until_quiet(Duration::from_secs(120));
    assert!(!host.state().join("data").join(&account.id).exists());
    assert_eq!(other.events(&mine).len(), 3);
    assert_eq!(host.query(left), ["account.erased"]);
}
