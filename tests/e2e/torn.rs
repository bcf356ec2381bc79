//! Tests of files of the package that are missing, damaged or foreign. The programs must report the
//! next step and overwrite nothing. Logins either work or are refused. After the correction
//! everything must work again.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::host::{Host, SOON, text};
use crate::support::outcome::{names, spooled};
use crate::support::pair::Pair;
use crate::support::process::{Ran, run, until};

type Break = fn(&Path);

#[test]
fn damaged_published_keys_are_published_again() {
    let host = Host::running();
    let account = host.account("e2e-torn");
    let keys = host.keys_db();
    let breaks: [Break; 4] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, "").unwrap(),
        |path| fs::write(path, "not keys".repeat(500)).unwrap(),
        |path| fs::OpenOptions::new().write(true).open(path).unwrap().set_len(5000).unwrap(),
    ];
    for (n, tear) in breaks.iter().enumerate() {
        tear(&keys);
        assert!(!account.can_log_in(), "{n}");
        let asked = helper(&host, &keys, &account.id);
        assert_eq!((asked.code, asked.stdout.as_str()), (Some(1), ""), "{n}: {asked:?}");
        host.cli(&["provision"]).ok();
        assert!(account.can_log_in(), "{n}");
    }
    account.import_all(&Pair::events(&account.local(), "after", 2), 2);
}

fn helper(host: &Host, keys: &Path, account: &str) -> Ran {
    let program = host.root.join("lib/sftp-import-authorized-keys");
    run(text(&program), &["--database", text(keys), account, "SHA256:x"])
}

#[test]
fn a_damaged_state_database_does_not_stop_uploads() {
    let host = Host::running();
    let account = host.account("e2e-state");
    account.import_all(&Pair::events(&account.local(), "before", 2), 2);
    host.wait_until_quiet(SOON);
    host.stop_daemon();
    let (database, good) = (host.state().join("state.db"), host.root.join("good.db"));
    fs::copy(&database, &good).unwrap();
    let keys = fs::read(host.keys_db()).unwrap();
    let breaks: [(Break, &str); 5] = [
        (|path| fs::write(path, "not a database").unwrap(), "is damaged"),
        (|path| truncate(path, 8192), "is damaged"),
        (|path| overwrite(path, 4096), "is damaged"),
        (|path| truncate(path, 0), "database was lost"),
        (|path| fs::remove_file(path).unwrap(), "database was lost"),
    ];
    for (n, (tear, expected)) in breaks.iter().enumerate() {
        tear(&database);
        let torn = fs::read(&database).unwrap_or_default();
        let message = daemon_refuses(&host);
        assert!(message.contains(expected) && message.contains("backup"), "{n}: {message}");
        // If only one of many pages is damaged, a command may not read that page.
        let commands = [&["provision"][..], &["account", "list"], &["key", "list"]];
        for command in &commands[..if n == 2 { 1 } else { 3 }] {
            let ran = host.cli(command).refused();
            assert!(n == 2 || ran.stderr.contains(expected), "{n}: {ran:#?}");
        }
        assert_eq!(
            fs::read(&database).unwrap_or_default(),
            torn,
            "{n}: a damaged file must not change"
        );
        assert_eq!(fs::read(host.keys_db()).unwrap(), keys, "{n}");
        let pair = Pair::events(&account.local(), &format!("torn{n}"), 3);
        account.upload(&pair);
        assert_eq!(names(&account.incoming(), &pair.stem).len(), 2, "{n}: waits");
        put_back(&good, &database);
        host.start_daemon();
        account.expect_accepted(&pair, 3);
        host.wait_until_quiet(SOON);
        host.stop_daemon();
        fs::copy(&database, &good).unwrap();
    }
    assert_eq!(account.event_folders().len(), 1 + breaks.len());
}

/// Starts a daemon that must end by itself. Returns its output.
fn daemon_refuses(host: &Host) -> String {
    let log = host.root.join("log/daemon");
    let before = fs::read(&log).unwrap().len();
    host.start_daemon_under(&[]);
    let mut daemon = host.daemon().take().unwrap();
    let status = daemon.wait(SOON);
    assert_eq!(status.code(), Some(1));
    String::from_utf8(fs::read(&log).unwrap()[before..].to_vec()).unwrap()
}

fn truncate(path: &Path, length: u64) {
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
}

/// Overwrites one page at the offset `at` with invalid bytes.
fn overwrite(path: &Path, at: u64) {
    use std::os::unix::fs::FileExt as _;
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[0xff; 4096], at).unwrap();
}

/// Restores the database like a sysadmin. The `-wal` and `-shm` files of the damaged database are
/// removed as well.
fn put_back(good: &Path, database: &Path) {
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        let _ = fs::remove_file(database.with_file_name(name));
    }
    fs::copy(good, database).unwrap();
    let owner = run("chown", &["sftp-import:sftp-import", text(database)]);
    owner.ok();
    crate::support::host::set_mode(database, 0o600);
}

/// After a restore from a backup, the state database could use import numbers again. Imports in the
/// spool and in the store must not be confused with new imports that have the same numbers.
#[test]
fn import_ids_stay_unique_after_a_restore() {
    let host = Host::running();
    let account = host.account("e2e-again");
    host.stop_daemon();
    let (database, backup) = (host.state().join("state.db"), host.root.join("backup.db"));
    fs::copy(&database, &backup).unwrap();
    host.start_daemon();
    account.import_all(&Pair::events(&account.local(), "e", 2), 2);
    account.import_all(&Pair::profiles(&account.local(), "p", 2), 4);
    host.wait_until_quiet(SOON);
    host.stop_daemon();
    put_back(&backup, &database);
    host.start_daemon();
    account.import_all(&Pair::events(&account.local(), "new", 5), 5);
    account.import_all(&Pair::profiles(&account.local(), "q", 2), 4);
    let import = account.report("new")["import"].as_str().unwrap().to_owned();
    assert_eq!(account.events(&import).len(), 5);
    assert_eq!(account.event_folders().len(), 2);
    assert_eq!((account.profiles("p.").len(), account.profiles("q.").len()), (2, 2));
}

#[test]
fn unknown_files_in_the_spool_are_kept() {
    let host = Host::new("");
    let account = host.account("e2e-stray");
    let spool = host.accounts().join(".spool");
    let node = fs::read_to_string(host.config()).unwrap();
    let node = node.split('"').nth(1).unwrap().to_owned();
    let strays: [PathBuf; 5] = [
        "notes.txt".into(),
        "lost+found/#12".into(),
        ".hidden".into(),
        format!("{node}-1/data").into(),   // the next import
        format!("{node}-900/data").into(), // an unknown import
    ];
    for stray in &strays {
        let path = spool.join(stray);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "a stranger's").unwrap();
    }
    std::os::unix::fs::symlink("/etc", spool.join(format!("{node}-2"))).unwrap();
    host.start_daemon();
    for n in 0..3 {
        account.import_all(&Pair::events(&account.local(), &format!("e{n}"), 3), 3);
    }
    let swept = || {
        let left = spooled(&host);
        left.iter().all(|name| strays.iter().any(|s| s.starts_with(name)) || name.ends_with("-2"))
    };
    until("the imports to leave the spool", SOON, || swept().then_some(()));
    for stray in &strays {
        assert_eq!(fs::read_to_string(spool.join(stray)).unwrap(), "a stranger's", "{stray:?}");
    }
    assert!(Path::new("/etc/passwd").exists());
}
