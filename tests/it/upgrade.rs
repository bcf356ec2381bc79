//! Tests of upgrades, downgrades, backups and restores of the state database with the real
//! programs.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::common::TestHost;

/// Creates a state database of the first schema at the path of the host's state database.
fn put_first_schema(host: &TestHost) {
    use std::os::unix::fs::{MetadataExt, chown};
    let path = host.state().join("state.db");
    fs::write(&path, "").unwrap();
    let folder = fs::metadata(host.state()).unwrap();
    chown(&path, Some(folder.uid()), Some(folder.gid())).unwrap();
    let database = Connection::open(path).unwrap();
    database.execute_batch(include_str!("../../src/state/db/migrations/0001.sql")).unwrap();
    database.execute_batch(include_str!("../upgrade/schema-1.sql")).unwrap();
    database.pragma_update(None, "user_version", 1).unwrap();
}

fn beside(host: &TestHost, part: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(host.state()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_string_lossy().contains(part)).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn an_upgrade_can_be_undone_with_its_copy() {
    let Some(host) = TestHost::new() else { return };
    put_first_schema(&host);
    let listed = host.done(&["account", "list"]);
    assert!(listed.contains("ACME-1") && listed.contains("ops@acme.example"), "{listed}");
    let shown = host.done(&["import", "show", "sftp1-41"]);
    assert!(shown.contains("Event name is mandatory"), "{shown}");
    let copies = beside(&host, "state.db.schema-1-");
    assert_eq!(copies.len(), 1, "{copies:?}");

    let database = Connection::open(host.state().join("state.db")).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    let printed = host.run(&["account", "list"]);
    assert_eq!(printed.code, Some(1));
    assert!(printed.err.contains("has schema 99"), "{printed:?}");
    let way_back = format!("sftp-import restore {}", copies[0].display());
    assert!(printed.err.contains(&way_back), "{printed:?}");
    let printed = host.run(&["restore", text(&copies[0])]);
    assert!(
        printed.code == Some(1) && printed.out.contains("account new (suspended)"),
        "{printed:?}"
    );
    assert!(printed.err.contains("no registry; nothing is changed"), "{printed:?}");
    let restored = host.done(&["restore", text(&copies[0]), "--accept-keys", "--json"]);
    let restored: serde_json::Value = serde_json::from_str(&restored).unwrap();
    assert_eq!(restored["schema"], 1);
    assert!(host.done(&["account", "list"]).contains("ACME-1"));
    assert_eq!(beside(&host, "state.db.replaced-").len(), 1);
}

#[test]
fn revoked_keys_stay_revoked_after_a_restore() {
    let Some(mut host) = TestHost::new() else { return };
    let id = host.account_with_key("ed25519.pub");
    let key = "SHA256:1SsfinJnb52hiy2PcTGPEdWqfnOF5nKrm86FP9kyl8c";
    let saved = host.config().with_file_name("saved.db");
    let printed = host.done(&["backup", text(&saved), "--json"]);
    let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed["bytes"], fs::metadata(&saved).unwrap().len());
    let again = host.run(&["backup", text(&saved)]);
    assert_eq!(again.code, Some(1));
    assert!(again.err.contains("is not overwritten"), "{again:?}");

    host.done(&["key", "revoke", &id, "laptop"]);
    assert!(host.helper(&id, key).out.is_empty());
    let keys = |host: &TestHost| {
        let listed = host.done(&["key", "list", &id, "--all"]);
        listed.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    for accept in [&[][..], &["--accept-keys"]] {
        let printed = host.done(&[&["restore", text(&saved)], accept].concat());
        assert!(
            printed.contains("the key was revoked at") && printed.contains("provision"),
            "{printed}"
        );
        assert!(host.helper(&id, key).out.is_empty(), "{accept:?}");
        assert!(keys(&host)[0].contains("revoked"), "{:?}", keys(&host));
    }
    let file = format!("{}/tests/keys/ed25519.pub", env!("CARGO_MANIFEST_DIR"));
    let add = ["key", "add", &id, &file, "--name", "laptop"];
    let refused = host.run(&add);
    assert!(refused.code == Some(1) && refused.err.contains("was revoked at"), "{refused:?}");
    assert!(refused.err.contains("--again"), "{refused:?}");
    host.done(&[&add[..], &["--again"]].concat());
    assert!(host.helper(&id, key).out.starts_with("restrict "));
    assert!(host.done(&["import", "log"]).contains("state.restored"));
    for file in ["state.db", "daemon.lock"] {
        let meta = fs::metadata(host.state().join(file)).unwrap();
        let folder = fs::metadata(host.state()).unwrap();
        use std::os::unix::fs::MetadataExt;
        let expected = (folder.uid(), folder.gid(), 0o600);
        assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o777), expected, "{file}");
    }
    fs::write(&saved, "no database").unwrap();
    let printed = host.run(&["restore", text(&saved)]);
    assert!(printed.code == Some(1) && printed.err.contains("is damaged"), "{printed:?}");
    assert!(!host.helper(&id, key).out.is_empty(), "a refused restore must change nothing");
}

/// The test covers a new host, a host with a newer registry than the backup, and a host with an
/// older registry.
#[test]
fn a_restore_adds_only_accepted_keys() {
    let Some(mut host) = TestHost::new() else { return };
    let (saved, admin) =
        (host.config().with_file_name("saved.db"), host.config().with_file_name("admin"));
    let id = host.account_with_key("ed25519.pub");
    let key = "SHA256:1SsfinJnb52hiy2PcTGPEdWqfnOF5nKrm86FP9kyl8c";
    host.done(&["backup", text(&saved)]);
    let works = |host: &TestHost| !host.helper(&id, key).out.is_empty();

    // The host has no registry.
    fs::rename(&admin, admin.with_extension("away")).unwrap();
    let printed = host.run(&["restore", text(&saved), "--json"]);
    assert_eq!(printed.code, Some(1), "{printed:?}");
    let printed = host.run(&["restore", text(&saved)]);
    assert!(printed.out.contains(&format!("account {id} (active)")), "{printed:?}");
    assert!(printed.out.contains(key) && printed.err.contains("--accept-keys"), "{printed:?}");
    assert!(works(&host), "published keys must still work");
    for command in [&["provision"][..], &["key", "revoke", &id, "laptop"]] {
        let printed = host.run(command);
        assert!(
            printed.code == Some(1) && printed.err.contains("there is no registry"),
            "{printed:?}"
        );
        assert!(!admin.join("registry.db").exists() && works(&host), "{printed:?}");
    }
    assert_eq!(host.run(&["registry", "take-over"]).code, Some(1));
    assert!(!admin.join("registry.db").exists());
    host.done(&["restore", text(&saved), "--accept-keys"]);
    assert!(works(&host));
    assert!(host.done(&["provision"]).contains("match the registry; the keys"));

    // The first host has lost the account. The second host has suspended the account after the
    // backup.
    host.done(&["account", "remove", &id, "--yes"]);
    let printed = host.done(&["restore", text(&saved)]);
    assert!(
        printed.contains("these accounts and keys can't log in; to let them log in, run: ")
            && printed.contains(key),
        "{printed}"
    );
    let accounts = || host.done(&["account", "list"]);
    assert!(accounts().contains("suspended") && !works(&host));
    let printed = host.run(&["account", "resume", &id]);
    assert!(
        printed.code == Some(1) && printed.err.contains("root has not approved it"),
        "{printed:?}"
    );
    host.done(&["restore", text(&saved), "--accept-keys"]);
    host.done(&["provision"]);
    assert!(works(&host) && accounts().contains("active"));
    host.done(&["account", "suspend", &id]);
    host.done(&["restore", text(&saved), "--accept-keys"]);
    assert!(accounts().contains("suspended") && !works(&host));
}
