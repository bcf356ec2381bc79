//! Tests of attacks on root's commands. The attacker is a process of the daemon's user, which puts
//! links and FIFOs into the folders that it can write to. No command may create, read or delete a
//! file of root's through a link, and no command may wait forever.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use crate::support::host::{Host, SOON, set_mode, text};
use crate::support::pair::Pair;
use crate::support::process::{Process, Ran, run, until};

const ACCOUNT: &str = "e2e-folders";
const SECRET: &str = "only root may read this";

/// The arguments with which setpriv(1) runs a program as the daemon's user.
const DAEMON: [&str; 3] = ["--reuid=sftp-import", "--regid=sftp-import", "--clear-groups"];

/// Runs a script as the daemon's user in the state folder.
#[track_caller]
fn as_daemon(host: &Host, script: &str) {
    let cd = format!("cd '{}' && {script}", host.state().display());
    run("setpriv", &[&DAEMON[..], &["sh", "-ec", &cd]].concat()).ok();
}

/// Creates a host with an account whose data was stored by two imports. Also creates a folder of
/// root's. Returns both.
fn host_with_data() -> (Host, PathBuf) {
    let host = Host::new("");
    host.cli(&["account", "add", ACCOUNT, "--any-recipient"]).ok();
    let local = host.root.join("local");
    for pair in [Pair::events(&local, "e", 5), Pair::profiles(&local, "p", 3)] {
        host.cli(&["ingest", "--account", ACCOUNT, text(&pair.manifest)]).ok();
    }
    let roots = host.root.join("roots");
    fs::create_dir(&roots).unwrap();
    set_mode(&roots, 0o755);
    (host, roots)
}

/// Fails if the command was killed because it waited too long.
#[track_caller]
fn ends(ran: Ran) -> Ran {
    assert!(ran.code.is_some_and(|code| code != 124 && code != 137), "{ran:#?}");
    ran
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Returns all bytes of all files below `folder`.
fn all_bytes(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        bytes.extend(if path.is_dir() { all_bytes(&path) } else { fs::read(&path).unwrap() });
    }
    bytes
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// The daemon's user moves the database away and repeatedly creates a link at its path. SQLite
/// would create the target of the link with root's rights.
#[test]
fn commands_do_not_create_files_through_links() {
    let (host, roots) = host_with_data();
    let planted = roots.join("planted");
    let code = "import os, sys\n\
        while True:\n\
        \x20   for do in (lambda: os.symlink(sys.argv[1], 'state.db'), lambda: os.unlink('state.db')):\n\
        \x20       try: do()\n\
        \x20       except OSError: pass\n";
    as_daemon(&host, "mv state.db kept; rm -f state.db-wal state.db-shm");
    let start = format!(
        "cd '{}' && exec /usr/bin/python3 -c \"$0\" '{}'",
        text(&host.state()),
        text(&planted)
    );
    let args = [&DAEMON[..], &["sh", "-c", &start, code]].concat();
    let mut attacker = Process::start("setpriv", &args, &host.root.join("log/attacker"));
    for _ in 0..100 {
        ends(host.cli(&["account", "list"]));
    }
    assert!(attacker.ended().is_none(), "the attacker must still be running");
    drop(attacker);
    assert_eq!(names(&roots), Vec::<String>::new(), "no file may be created in root's folder");
}

#[test]
fn state_databases_must_be_regular_files() {
    let (host, roots) = host_with_data();
    let planted = roots.join("planted");
    as_daemon(&host, "mv state.db kept");
    for name in ["state.db", "state.db-wal", "state.db-shm", "state.db-journal"] {
        if name != "state.db" {
            as_daemon(&host, "cp kept state.db");
        }
        let link = format!("ln -s '{}' {name}", planted.display());
        for attack in [link, format!("mkfifo {name}"), format!("mkfifo -m 0400 {name}")] {
            as_daemon(&host, &format!("rm -f {name}; {attack}"));
            for command in [&["account", "list"][..], &["provision"], &["import", "list"]] {
                let refused = host.cli(command).refused();
                assert!(refused.stderr.contains(name), "{attack}: {refused:#?}");
            }
            ends(host.cli(&["doctor"]));
            ends(host.cli(&["backup", text(&roots.join("backup"))]));
            let _ = fs::remove_file(roots.join("backup"));
            assert_eq!(names(&roots), Vec::<String>::new(), "{attack}");
        }
        as_daemon(&host, "rm -f state.db*");
    }
    as_daemon(&host, "mv kept state.db");
    let listed = host.cli(&["account", "list"]).ok();
    assert!(listed.stdout.contains(ACCOUNT), "{listed:#?}");
}

/// If root creates a file in the folder, the file must belong to the folder's owner from the
/// beginning.
#[test]
fn missing_files_belong_to_the_folder_owner() {
    let host = Host::new("");
    let owner = fs::metadata(host.state()).unwrap().uid();
    assert!(!host.state().join("state.db").exists());
    host.cli(&["account", "add", ACCOUNT, "--any-recipient"]).ok();
    let pair = Pair::events(&host.root.join("local"), "e", 5);
    host.cli(&["ingest", "--account", ACCOUNT, text(&pair.manifest)]).ok();
    for name in ["state.db", "ingest.lock", "data/e2e-folders/events"] {
        assert_eq!(fs::metadata(host.state().join(name)).unwrap().uid(), owner, "{name}");
    }
}

/// The name of a table becomes part of a statement, and of the name of an export file.
#[test]
fn unknown_tables_do_not_prevent_export_or_erasure() {
    let (host, _) = host_with_data();
    let sql =
        format!("CREATE TABLE \"../x y\" (account); INSERT INTO \"../x y\" VALUES ('{ACCOUNT}')");
    let code =
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2])";
    let database = host.state().join("state.db");
    let args = [&DAEMON[..], &["/usr/bin/python3", "-c", code, text(&database), &sql]].concat();
    run("setpriv", &args).ok();
    let export = host.root.join("export");
    host.cli(&["account", "export", ACCOUNT, text(&export)]).ok();
    assert!(names(&export.join("state")).iter().all(|name| !name.contains('x')));
    host.cli(&["account", "erase", ACCOUNT, "--yes"]).ok();
}

#[test]
fn an_export_contains_only_the_daemons_files() {
    let (host, roots) = host_with_data();
    let secret = roots.join("secret");
    fs::write(&secret, SECRET).unwrap();
    set_mode(&secret, 0o600);
    // The folder tree and the database have the layout of an account's data, but belong to root.
    let tree = roots.join(ACCOUNT).join("events/import=e2e-1");
    fs::create_dir_all(&tree).unwrap();
    fs::write(tree.join("part-00000.parquet"), SECRET).unwrap();
    let database = rusqlite::Connection::open(roots.join("secret.db")).unwrap();
    database.execute_batch(&format!("CREATE TABLE t AS SELECT \"{SECRET}\"")).unwrap();
    drop(database);
    for closed in [roots.join(ACCOUNT), roots.join("secret.db")] {
        set_mode(&closed, 0o700);
    }
    let (roots, data) = (roots.display(), format!("data/{ACCOUNT}"));
    let part = format!("{data}/events/*/part-00000.parquet");
    let attacks = [
        format!("p=$(echo {part}); mv $p kept; ln -s '{roots}/secret' $p"),
        format!("p=$(echo {part}); rm $p; mkfifo $p"),
        format!("p=$(echo {part}); rm $p; mkfifo -m 0400 $p"),
        format!(
            "p=$(echo {part}); rm $p; mv kept $p; cd {data}; mv profiles.db kept; \
                 ln -s '{roots}/secret.db' profiles.db"
        ),
        format!("cd {data}; rm profiles.db; mkfifo -m 0400 profiles.db"),
        format!(
            "cd {data}; rm profiles.db; mv kept profiles.db; \
                 rm -f profiles.db-wal; mkfifo -m 0400 profiles.db-wal"
        ),
        format!("mv data/{ACCOUNT} away; ln -s '{roots}/{ACCOUNT}' data/{ACCOUNT}"),
        format!("mv data data.away; ln -s '{roots}' data"),
        "rm data; mkfifo data".to_owned(),
    ];
    for (n, attack) in attacks.iter().enumerate() {
        as_daemon(&host, attack);
        let to = host.root.join(format!("export-{n}"));
        ends(host.cli(&["account", "export", ACCOUNT, text(&to)]));
        assert!(!contains(&all_bytes(&to), SECRET), "{attack}");
    }
}

#[test]
fn an_erasure_does_not_follow_links() {
    for attack in
        ["mv data away; ln -s ROOTS data", "mv data/ACCOUNT away; ln -s ROOTS/ACCOUNT data"]
    {
        let (host, roots) = host_with_data();
        fs::create_dir(roots.join(ACCOUNT)).unwrap();
        fs::write(roots.join(ACCOUNT).join("kept"), "").unwrap();
        as_daemon(&host, &attack.replace("ROOTS", text(&roots)).replace("ACCOUNT", ACCOUNT));
        ends(host.cli(&["account", "erase", ACCOUNT, "--yes"]));
        assert!(roots.join(ACCOUNT).join("kept").exists(), "{attack}");
    }
}

/// The daemon's user replaces one lock file by a FIFO and holds another lock.
#[test]
fn locks_of_the_daemon_never_delay_root() {
    let (host, _) = host_with_data();
    let saved = host.root.join("saved.db");
    host.cli(&["backup", text(&saved)]).ok();
    let pair = Pair::events(&host.root.join("local"), "late", 5);
    let commands = [
        &["provision"][..],
        &["restore", text(&saved)],
        &["ingest", "--account", ACCOUNT, text(&pair.manifest)],
        &["account", "erase", ACCOUNT, "--yes"],
    ];
    let locks = [".provision.lock", "daemon.lock", "ingest.lock"];
    for lock in locks {
        as_daemon(&host, &format!("rm -f {lock}; mkfifo {lock}"));
    }
    for command in commands {
        ends(host.cli(command));
    }
    for lock in locks {
        as_daemon(&host, &format!("rm {lock}; touch {lock}"));
    }
    let hold = format!(
        "cd '{}' && exec flock -x .provision.lock flock -x ingest.lock sleep 600",
        text(&host.state())
    );
    let args = [&DAEMON[..], &["sh", "-c", &hold]].concat();
    let _holder = Process::start("setpriv", &args, &host.root.join("log/holder"));
    until("the daemon's user to hold the locks", SOON, || {
        let lock = host.state().join("ingest.lock");
        (run("flock", &["-n", text(&lock), "true"]).code == Some(1)).then_some(())
    });
    host.cli(&["provision"]).ok();
    for command in &commands[2..] {
        let refused = host.cli(command).refused();
        assert!(refused.stderr.contains("another user's ingest is running"), "{refused:#?}");
    }
}

#[test]
fn only_root_can_access_the_lock_folder() {
    let host = Host::new("");
    host.cli(&["provision"]).ok();
    let admin = host.root.join("state-admin");
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!((mode(&admin), mode(&admin.join("provision.lock"))), (0o700, 0o600));
    set_mode(&admin, 0o755);
    let refused = host.cli(&["provision"]).refused();
    let fix = format!("chmod 0700 {}", admin.display());
    assert!(refused.stderr.contains(&fix), "{refused:#?}");
    set_mode(&admin, 0o700);
    host.cli(&["provision"]).ok();
}

/// The copy that an upgrade creates is in the daemon's folder. A link in that folder could point to
/// a backup of root's, and the daemon would then get the content of the backup.
#[test]
fn a_restore_does_not_follow_the_daemons_links() {
    let (host, roots) = host_with_data();
    let (backup, copy) = (roots.join("backup.db"), host.state().join("state.db.schema-1-x"));
    host.cli(&["backup", text(&backup)]).ok();
    as_daemon(&host, &format!("ln -s '{}' {}", backup.display(), copy.display()));
    host.cli(&["restore", text(&copy)]).refused();
    fs::remove_file(&copy).unwrap();
    symlink(&backup, roots.join("link")).unwrap();
    host.cli(&["restore", text(&roots.join("link"))]).ok(); // a link that root created
}
