//! Tests of export and erasure of an account's data. They run the programs with real users and a
//! real store.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside #[test]")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::common::TestHost;

/// Imports a pair of `samples/` for an account with `ingest`, without an upload.
fn ingest(host: &TestHost, id: &str, sample: &str) {
    let folder = host.config().with_file_name("samples");
    fs::create_dir_all(&folder).unwrap();
    for ending in ["csv", "manifest"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
        let name = format!("{sample}.{ending}");
        fs::copy(from.join(&name), folder.join(&name)).unwrap();
    }
    let manifest = folder.join(format!("{sample}.manifest"));
    host.done(&["ingest", "--account", id, manifest.to_str().unwrap()]);
}

/// Creates an account that has data in every table and folder.
fn full_account(host: &mut TestHost) -> String {
    let id = host.account_with_key("ed25519.pub");
    host.done(&["webhook", "add", &id, "crm", "https://8.8.8.8/in"]);
    host.done(&["account", "set", &id, "--webhook", "crm", "--email", "ops@example.com"]);
    ingest(host, &id, "events");
    ingest(host, &id, "profiles");
    fs::write(host.accounts_root().join(&id).join("results/answer.csv"), "x").unwrap();
    fs::write(host.accounts_root().join(&id).join("incoming/data.csv"), "x").unwrap();
    id
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files_below(&path, found) } else { found.push(path) }
    }
}

#[test]
fn an_export_is_complete_private_and_listed() {
    let Some(mut host) = TestHost::new() else { return };
    let id = full_account(&mut host);
    let other = host.account_with_key("rsa-3072.pub");
    let to = host.config().with_file_name("export");
    let printed = host.done(&["account", "export", &id, to.to_str().unwrap(), "--json"]);
    let printed: Value = serde_json::from_str(&printed).unwrap();
    let listing: Value =
        serde_json::from_slice(&fs::read(to.join("listing.json")).unwrap()).unwrap();
    let listed = listing["files"].as_array().unwrap();
    assert_eq!(printed["files"], listed.len());
    let mut files = Vec::new();
    files_below(&to, &mut files);
    assert_eq!(files.len(), listed.len() + 1, "{files:?}");
    for file in listed {
        let bytes = fs::read(to.join(file["path"].as_str().unwrap())).unwrap();
        assert_eq!(file["sha256"], format!("{:x}", Sha256::digest(&bytes)));
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("whsec_") && !text.contains(&other), "{file}");
    }
    let has = |part: &str| listed.iter().any(|file| file["path"].as_str().unwrap().contains(part));
    for part in [
        "state/account.jsonl",
        "state/key.jsonl",
        "state/import.jsonl",
        "state/delivery.jsonl",
        "state/activity.jsonl",
        "state/endpoint.jsonl",
        "store/events/import=sftp1-1/part-00000.parquet",
        "store/profiles.db",
        "results/answer.csv",
        "incoming/data.csv",
    ] {
        assert!(has(part), "{part}: {listing:#}");
    }
    let profiles = rusqlite::Connection::open(to.join("store/profiles.db")).unwrap();
    let count: i64 =
        profiles.query_row("SELECT count(*) FROM profile", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 5);
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o7777, 0o700);
    let again = host.run(&["account", "export", &id, to.to_str().unwrap()]);
    assert!(again.code == Some(1) && again.err.contains("does not exist"), "{again:?}");
    let nobody = host.config().with_file_name("nobody");
    let printed = host.run(&["account", "export", "nobody-1", nobody.to_str().unwrap()]);
    assert!(printed.code == Some(1) && !nobody.exists(), "{printed:?}");
}

/// Checks that nothing of the account remains except the line about its erasure.
fn expect_erased(host: &TestHost, id: &str) {
    assert!(nix::unistd::User::from_name(id).unwrap().is_none());
    assert!(!host.accounts_root().join(id).exists());
    assert!(!host.state().join("data").join(id).exists());
    let lines = host.done(&["import", "log", "--account", id, "--json"]);
    let lines: Value = serde_json::from_str(&lines).unwrap();
    let actions: Vec<_> = lines.as_array().unwrap().iter().map(|line| &line["action"]).collect();
    assert_eq!(actions, ["account.erased"], "{lines:#}");
    for list in [["import", "list", "--json"], ["delivery", "list", "--json"]] {
        assert!(!host.done(&list).contains(id), "{list:?}");
    }
    let printed = host.run(&["account", "erase", id, "--yes"]);
    assert!(printed.code == Some(1) && printed.err.contains("no data of"), "{printed:?}");
}

#[test]
fn an_erased_account_has_one_activity_line() {
    let Some(mut host) = TestHost::new() else { return };
    let (id, other) = (full_account(&mut host), host.account_with_key("rsa-3072.pub"));
    let printed = host.run(&["account", "erase", &id]);
    assert!(printed.code == Some(1) && printed.err.contains("is not erased"), "{printed:?}");
    assert!(
        host.done(&["account", "show", &id]).contains("active"),
        "an unconfirmed command must erase nothing"
    );
    let printed = host.done(&["account", "erase", &id, "--yes"]);
    assert!(printed.contains("is erased"), "{printed}");
    expect_erased(&host, &id);
    assert!(host.done(&["account", "show", &other]).contains("active"));
    host.done(&["account", "add", &id, "--any-recipient"]);
    ingest(&host, &id, "events");
    assert!(
        host.done(&["import", "list"]).contains("sftp1-3"),
        "import numbers must not be used twice"
    );
}

/// The backup is older than the account. The restored state database gets the account from the
/// registry.
#[test]
fn an_account_unknown_after_restore_is_erased() {
    let Some(mut host) = TestHost::new() else { return };
    let backup = host.config().with_file_name("before.db");
    let kept = host.account_with_key("rsa-3072.pub");
    host.done(&["backup", backup.to_str().unwrap()]);
    let id = full_account(&mut host);
    host.done(&["restore", backup.to_str().unwrap()]);
    assert!(
        host.done(&["account", "list"]).contains(&id),
        "the account must be copied from the registry"
    );
    assert!(host.done(&["key", "list", &id]).contains("active"));
    // The rows are removed from both databases, as if the account had never been added.
    host.registry()
        .execute_batch(&format!("PRAGMA foreign_keys = on; DELETE FROM account WHERE id = '{id}'"))
        .unwrap();
    let state = rusqlite::Connection::open(host.state().join("state.db")).unwrap();
    state.execute("DELETE FROM account WHERE id = ?1", [&id]).unwrap();
    assert!(nix::unistd::User::from_name(&id).unwrap().is_some());
    host.done(&["account", "erase", &id, "--yes"]);
    assert!(nix::unistd::User::from_name(&id).unwrap().is_none());
    assert!(nix::unistd::Group::from_name(&id).unwrap().is_none());
    assert!(!host.accounts_root().join(&id).exists());
    assert!(!host.state().join("data").join(&id).exists());
    let printed = host.run(&["account", "erase", &id, "--yes"]);
    assert!(printed.code == Some(1) && printed.err.contains("no data of"), "{printed:?}");
    // Neither a known account nor a user that sftp-import did not create may be erased.
    assert!(nix::unistd::User::from_name(&kept).unwrap().is_some());
    let printed = host.run(&["account", "erase", super::common::SERVICE, "--yes"]);
    assert!(printed.code == Some(1) && printed.err.contains("no data of"), "{printed:?}");
    assert!(nix::unistd::User::from_name(super::common::SERVICE).unwrap().is_some());
}

/// After a kill at any moment, a second run must complete the erasure.
#[test]
fn an_interrupted_erasure_is_completed() {
    let Some(mut host) = TestHost::new() else { return };
    let id = full_account(&mut host);
    for delay in (5..125).step_by(17).map(Duration::from_millis) {
        host.killed_after(delay, &["account", "erase", &id, "--yes"]);
        // A provisioning before the second run must not disturb the remaining data.
        host.run(&["provision"]);
        let printed = host.run(&["account", "erase", &id, "--yes"]);
        assert!(
            printed.code == Some(0) || printed.err.contains("no data of"),
            "{delay:?}: {printed:?}"
        );
        expect_erased(&host, &id);
        host.done(&["account", "add", &id, "--any-recipient"]);
        let key = format!("{}/ed25519.pub", super::common::KEYS);
        host.done(&["key", "add", &id, &key, "--name", "laptop"]);
        ingest(&host, &id, "events");
        host.run(&["import", "list"]);
    }
}
