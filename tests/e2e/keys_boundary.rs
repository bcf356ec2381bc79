//! Tests of attacks on the published keys by a process of the daemon's user. The process must not
//! be able to delay a revocation, to change sshd's answers, or to make the helper read forged keys.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::Path;

use nix::unistd::User;

use crate::support::account::Account;
use crate::support::host::{Host, SOON, set_mode, text};
use crate::support::process::{Process, Ran, run, until};

/// The fingerprint of the key that [`forge`] writes.
const FORGED: &str = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Runs a shell command as the daemon's user, with the capabilities of the daemon.
fn as_daemon(command: &str) -> Ran {
    run("setpriv", &[&DAEMON[..], &["sh", "-c", command]].concat())
}

const DAEMON: [&str; 6] = [
    "--reuid=sftp-import",
    "--regid=sftp-import",
    "--clear-groups",
    "--bounding-set=-all,+dac_read_search,+lease",
    "--inh-caps=-all,+dac_read_search,+lease",
    "--ambient-caps=-all,+dac_read_search,+lease",
];

fn daemon_uid() -> u32 {
    User::from_name("sftp-import").unwrap().unwrap().uid.as_raw()
}

/// Runs the helper like sshd, with the keys in `database`.
fn ask(account: &Account<'_>, database: &Path, fingerprint: &str) -> Ran {
    let helper = account.host.root.join("lib/sftp-import-authorized-keys");
    let helper = [text(&helper), "--database", text(database), &account.id, fingerprint];
    run("runuser", &[&["-u", "_sftp-import-keys", "--"][..], &helper].concat())
}

#[track_caller]
fn is_refused(account: &Account<'_>, database: &Path, fingerprint: &str) {
    let output = ask(account, database, fingerprint);
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{output:#?}");
}

fn fingerprint(account: &Account<'_>) -> String {
    let output = run("ssh-keygen", &["-lf", &format!("{}.pub", account.key.display())]).ok();
    output.stdout.split(' ').nth(1).unwrap().to_owned()
}

/// Creates a file of forged published keys. It contains a key that the attacker chose for
/// `account`.
fn forge(path: &Path, account: &Account<'_>) {
    let code = "import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
c.executescript('''CREATE TABLE key (account TEXT NOT NULL, fingerprint TEXT NOT NULL,
    algorithm TEXT NOT NULL, public_key TEXT NOT NULL, from_hosts TEXT, expires_at INTEGER,
    PRIMARY KEY (account, fingerprint)) STRICT, WITHOUT ROWID''')
c.execute('INSERT INTO key VALUES (?, ?, ?, ?, NULL, NULL)',
    (sys.argv[2], sys.argv[3], 'ssh-ed25519', 'AAAA'))
c.commit()";
    let python = ["/usr/bin/python3", "-c", code, text(path), &account.id, FORGED];
    run("setpriv", &[&DAEMON[..], &python].concat()).ok();
    set_mode(path, 0o644);
}

#[test]
fn locks_of_the_daemon_do_not_delay_revocation() {
    let host = Host::new("");
    let account = host.account("e2e-lock");
    // Earlier versions published in this folder. The daemon's user can create its own lock file
    // there.
    let old = host.state().join("published");
    as_daemon(&format!("mkdir -p {0} && rm -f {0}/.lock && touch {0}/.lock", old.display())).ok();
    let log = host.root.join("log/flock");
    let hold = |lock: &Path| {
        let user = ["-u", "sftp-import", "--", "flock", "--no-fork", text(lock)];
        let command = ["sh", "-c", "echo locked; exec sleep 600"];
        Process::start("runuser", &[&user[..], &command].concat(), &log)
    };
    let mut old = hold(&old.join(".lock"));
    let locked = || fs::read_to_string(&log).unwrap().contains("locked").then_some(());
    until("the old lock to be held", SOON, locked);
    for lock in [host.keys().join(".lock"), host.keys()] {
        assert!(!hold(&lock).wait(SOON).success(), "{} must not be lockable", lock.display());
    }
    host.cli(&["key", "revoke", &account.id, account.key_name()]).ok();
    assert!(old.ended().is_none(), "the attacker must still hold its own lock");
    assert_eq!(ask(&account, &host.keys_db(), &fingerprint(&account)).ok().stdout, "");
    assert!(!account.can_log_in());
}

#[test]
fn the_daemon_cannot_change_published_keys() {
    let host = Host::new("");
    let account = host.account("e2e-replace");
    let (keys, database) = (host.keys(), host.keys_db());
    let forged = host.state().join("forged.db");
    forge(&forged, &account);
    let before = [&keys, &database].map(|path| fs::metadata(path).unwrap());
    let (keys, database, forged) = (keys.display(), database.display(), forged.display());
    for command in [
        format!("cp {forged} {database}"),
        format!("mv -f {forged} {database}"),
        format!("ln -sf {forged} {database}"),
        format!("rm -f {database}"),
        format!("mv {database} {database}.away"),
        format!("echo x >>{database}"),
        format!("truncate -s 0 {database}"),
        format!("chmod 0666 {database}"),
        format!("touch {keys}/keys.db-wal"),
        format!("touch {keys}/.keys.db.new"),
        format!("mv {keys} {keys}.away"),
        format!("chmod 0777 {keys}"),
        format!("touch {keys}"),
    ] {
        as_daemon(&command).refused();
    }
    let after = [host.keys(), host.keys_db()].map(|path| fs::metadata(path).unwrap());
    for (before, after) in before.iter().zip(&after) {
        let of = |found: &fs::Metadata| (found.ino(), found.uid(), found.mode(), found.len());
        assert_eq!(of(before), of(after));
        assert_eq!(before.mtime_nsec(), after.mtime_nsec());
    }
    assert!(account.can_log_in());
    assert_eq!(ask(&account, &host.keys_db(), FORGED).ok().stdout, "");
}

#[test]
fn the_helper_refuses_keys_writable_by_others() {
    let host = Host::new("");
    let account = host.account("e2e-forged");
    let (keys, database, daemon) = (host.keys(), host.keys_db(), daemon_uid());
    let key = fingerprint(&account);
    assert!(ask(&account, &database, &key).ok().stdout.starts_with("restrict "));

    // The helper must refuse a file of the daemon's user in any folder.
    let forged = host.state().join("keys.db");
    forge(&forged, &account);
    is_refused(&account, &forged, FORGED);
    for folder in ["/tmp", "/srv"] {
        let copy = Path::new(folder).join(format!("sftp-import-e2e-{}.db", std::process::id()));
        fs::copy(&forged, &copy).unwrap();
        chown(&copy, Some(daemon), None).unwrap();
        let output = ask(&account, &copy, FORGED);
        fs::remove_file(&copy).unwrap();
        assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{folder}: {output:#?}");
    }

    // The daemon's user owns the published file in one case, and its folder in the other case.
    for (path, mode) in [(&database, 0o640), (&keys, 0o750)] {
        chown(path, Some(daemon), None).unwrap();
        is_refused(&account, &database, &key);
        assert!(!account.can_log_in(), "{}", path.display());
        chown(path, Some(0), None).unwrap();
        for wrong in [mode | 0o020, mode | 0o002] {
            set_mode(path, wrong);
            is_refused(&account, &database, &key);
        }
        set_mode(path, mode);
        assert!(account.can_log_in(), "{}", path.display());
    }
    // The mode of a parent folder changes. A sticky parent folder is accepted, like /tmp.
    for (mode, is_accepted) in [(0o777, false), (0o775, false), (0o1777, true), (0o755, true)] {
        set_mode(&host.root, mode);
        let output = ask(&account, &database, &key);
        assert_eq!(!output.stdout.is_empty(), is_accepted, "{mode:o}: {output:#?}");
    }

    // A link of root's to root's folder is followed. A link in a folder of the daemon's user is
    // refused.
    let link = host.root.join("link");
    symlink(&keys, &link).unwrap();
    assert!(ask(&account, &link.join("keys.db"), &key).ok().stdout.starts_with("restrict "));
    fs::remove_file(&link).unwrap();
    symlink(host.state(), &link).unwrap();
    is_refused(&account, &link.join("keys.db"), FORGED);
    as_daemon(&format!("ln -s {} {}/link", keys.display(), host.state().display())).ok();
    is_refused(&account, &host.state().join("link/keys.db"), &key);
}

/// Publishing replaces a file of any owner, but refuses a folder that does not belong to root.
#[test]
fn root_never_publishes_into_the_daemons_folder() {
    let host = Host::new("");
    let account = host.account("e2e-publish");
    let (keys, database, daemon) = (host.keys(), host.keys_db(), daemon_uid());
    chown(&database, Some(daemon), None).unwrap();
    assert!(!account.can_log_in());
    host.cli(&["provision"]).ok();
    assert_eq!(fs::metadata(&database).unwrap().uid(), 0);
    assert!(account.can_log_in());

    chown(&keys, Some(daemon), None).unwrap();
    // The link would make root write to another file.
    as_daemon(&format!(
        "ln -s {} {}/.keys.db.new",
        host.root.join("made").display(),
        keys.display()
    ))
    .ok();
    let output = host.cli(&["provision"]).refused();
    assert!(output.stderr.contains(&format!("`chown root {}`", keys.display())), "{output:#?}");
    assert!(!host.root.join("made").exists());
    chown(&keys, Some(0), None).unwrap();
    host.cli(&["provision"]).ok();
    assert!(account.can_log_in());
}
