//! Tests of SIGKILL at any durable step of a root command. The next command must complete the
//! change. At any time sshd must get either the state before or the state after the change.

use std::fs;

use rusqlite::Connection;

use crate::support::account::Account;
use crate::support::host::{Host, SOON, text};
use crate::support::process::{Ran, run};

/// The system calls that make files durable, or that create and remove their names.
const CALLS: [&str; 5] = ["fsync", "fdatasync", "rename", "renameat2", "unlink"];

/// Runs `sftp-import`. The command is killed at its `n`th call of `call`.
fn killed(host: &Host, args: &[&str], call: &str, n: usize) -> Ran {
    let inject = format!("inject={call}:signal=KILL:when={n}");
    let (program, config) = (host.root.join("lib/sftp-import"), host.config());
    let strace = ["-f", "-qq", "-o", "/dev/null", "-e", &inject];
    let command = [text(&program), "--config", text(&config)];
    run("strace", &[&strace[..], &command, args].concat())
}

/// Calls `check` after a kill at each point of the command `args`. `undo` restores the state before
/// the command. Returns the number of points.
fn at_each_point(host: &Host, args: &[&str], undo: impl Fn(), check: impl Fn(&str)) -> usize {
    let mut points = 0;
    for call in CALLS {
        for n in 1.. {
            let ran = killed(host, args, call, n);
            if ran.code.is_some() {
                ran.ok();
                undo();
                break;
            }
            points += 1;
            check(&format!("{args:?} killed at {call} {n}"));
            undo();
        }
    }
    points
}

#[test]
fn a_change_interrupted_by_a_kill_is_completed() {
    let host = Host::running();
    let account = host.account("e2e-killed-change");
    let id = account.id.as_str();
    let key = account.with_another_key("second");
    let file = format!("{}.pub", key.key.display());
    let add = ["key", "add", id, &file, "--name", "second", "--again"];
    let (revoke, suspend, resume) =
        (["key", "revoke", id, "second"], ["account", "suspend", id], ["account", "resume", id]);
    host.cli(&add).ok();

    // Each change comes with the command that reverts it, and with a flag that is true if the
    // change lets the key log in.
    let mut points = 0;
    for (change, back, lets_in) in [
        (&revoke[..], &add[..], false),
        (&add[..], &revoke[..], true),
        (&suspend[..], &resume[..], false),
        (&resume[..], &suspend[..], true),
    ] {
        host.cli(&add);
        host.cli(&resume).ok();
        if lets_in {
            host.cli(back).ok();
        }
        let undo = || drop(host.cli(back).ok());
        points += at_each_point(&host, change, undo, |what| {
            let registry = Connection::open(host.registry()).unwrap();
            registry.busy_timeout(SOON).unwrap();
            let sql = "SELECT count(*) FROM approved JOIN account ON account = account.id
                       WHERE name = 'second' AND revoked_at IS NULL AND state = 'active'";
            let approved: i64 = registry.query_row(sql, [], |row| row.get(0)).unwrap();
            host.cli(&["provision"]).ok();
            assert_eq!(is_published(&key), approved == 1, "{what}");
            let again = host.cli(&["provision"]).ok();
            assert!(again.stdout.contains("match the registry; the keys"), "{what}: {again:#?}");
            let ran = host.cli(change);
            assert!(ran.code == Some(0) || ran.stderr.contains("already"), "{what}: {ran:#?}");
            assert_eq!(is_published(&key), lets_in, "{what}");
        });
    }
    assert!(points > 20, "only {points} points");
    host.cli(&resume).ok();
    host.cli(&add);
    assert!(key.can_log_in() && account.can_log_in());
}

/// The first account of a host creates the registry. After a kill the registry must be complete or
/// missing.
#[test]
fn a_killed_registry_creation_can_be_repeated() {
    let host = Host::new("");
    let add = ["account", "add", "e2e-killed-first", "--any-recipient"];
    let undo = || {
        fs::remove_dir_all(host.registry().parent().unwrap()).unwrap();
        let state = Connection::open(host.state().join("state.db")).unwrap();
        state.execute_batch("DELETE FROM account").unwrap();
    };
    let points = at_each_point(&host, &add, undo, |what| {
        let ran = host.cli(&add);
        assert!(ran.code == Some(0) || ran.stderr.contains("already"), "{what}: {ran:#?}");
        let registry = Connection::open(host.registry()).unwrap();
        let id: String =
            registry.query_row("SELECT id FROM account", [], |row| row.get(0)).unwrap();
        assert_eq!(id, "e2e-killed-first", "{what}");
        let listed = host.cli(&["account", "list"]).ok();
        assert!(listed.stdout.contains("e2e-killed-first"), "{what}: {listed:#?}");
    });
    assert!(points > 5, "only {points} points");
}

/// Returns whether the key is published. Runs the helper like sshd.
fn is_published(account: &Account<'_>) -> bool {
    let public = fs::read_to_string(format!("{}.pub", account.key.display())).unwrap();
    let lines = run("ssh-keygen", &["-lf", &format!("{}.pub", account.key.display())]).ok().stdout;
    let fingerprint = lines.split(' ').nth(1).unwrap();
    let (helper, keys) =
        (account.host.root.join("lib/sftp-import-authorized-keys"), account.host.keys_db());
    let answer = run(text(&helper), &["--database", text(&keys), &account.id, fingerprint]).ok();
    answer.stdout.contains(public.split(' ').nth(1).unwrap())
}
