//! Tests of attacks on root by a process of the daemon's user. The process writes rows to the state
//! database. These rows must have no effect on Unix users or logins.

use std::path::Path;

use crate::support::account::Account;
use crate::support::host::{Host, SOON, text};
use crate::support::process::{Process, run, until};
use crate::support::unix::{changing_users, remove_user};

const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJ0uLqA0kQm4cT0l3wVxXGx9kq3v0m5c4n6Zq7Hk1F2d";

/// A Unix user that is not the user of an account, with a running process.
struct Operator {
    name: &'static str,
    uid: String,
    process: Process,
}

impl Operator {
    fn new(host: &Host, name: &'static str, uid: Option<u32>) -> Self {
        let uid = uid.map(|uid| uid.to_string());
        let mut args = vec!["--no-create-home", "--shell", "/bin/sh"];
        args.extend(uid.iter().flat_map(|uid| ["--uid", uid]));
        changing_users(|| run("useradd", &[&args[..], &[name]].concat()).ok());
        let uid = run("id", &["-u", name]).ok().stdout.trim().to_owned();
        let reuid = format!("--reuid={uid}");
        let process =
            Process::start("setpriv", &[&reuid, "sleep", "600"], &host.root.join("log/operator"));
        Self { name, uid, process }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        remove_user(self.name);
    }
}

/// Runs `sql` on the state database as the daemon's user.
fn as_daemon(database: &Path, sql: &str) {
    let code =
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2])";
    let user = ["--reuid=sftp-import", "--regid=sftp-import", "--clear-groups", "/usr/bin/python3"];
    run("setpriv", &[&user[..], &["-c", code, text(database), sql]].concat()).ok();
}

fn unix_user(name: &str) -> String {
    run("getent", &["passwd", name]).ok().stdout
}

fn members() -> String {
    run("getent", &["group", "sftp-import-accounts"]).ok().stdout
}

/// The accounts have the names and ids of unrelated Unix users. Some of these ids are in the range
/// of accounts.
#[test]
fn database_rows_do_not_change_unrelated_unix_users() {
    let host = Host::new("");
    host.cli(&["account", "add", "e2e-partner", "--any-recipient"]).ok();
    let config = std::fs::read_to_string(host.config()).unwrap();
    let last_uid = config.lines().find_map(|line| line.strip_prefix("last-uid = "));
    let in_range = last_uid.unwrap().parse().unwrap();
    let mut operators = [
        Operator::new(&host, "e2e-operator1", None),
        Operator::new(&host, "e2e-operator2", None),
        Operator::new(&host, "e2e-operator3", Some(in_range)),
        Operator::new(&host, "e2e-operator4", Some(in_range - 1)),
    ];
    let before = ["root", operators[0].name, operators[2].name].map(unix_user);
    let states = ["active", "removing", "active", "removing"];
    let rows = operators
        .iter()
        .zip(states)
        .map(|(operator, state)| format!("('{}', {}, '{state}', 0)", operator.name, operator.uid));
    let rows: Vec<String> = rows.chain(["('root', 0, 'active', 0)".to_owned()]).collect();
    let keys = ["root", operators[0].name].map(|account| {
        format!("('{account}', 'mine', 'ssh-ed25519', '{KEY}', 'SHA256:{account}', 0)")
    });
    as_daemon(
        &host.state().join("state.db"),
        &format!(
            "INSERT INTO account (id, uid, state, created_at) VALUES {};
             INSERT INTO key (account, name, algorithm, public_key, fingerprint, created_at)
             VALUES {};",
            rows.join(", "),
            keys.join(", ")
        ),
    );

    let ran = host.cli(&["provision"]).ok();
    assert!(ran.stdout.contains("account e2e-operator1 is suspended, because root"), "{ran:#?}");
    assert_eq!(before, ["root", operators[0].name, operators[2].name].map(unix_user));
    for operator in &mut operators {
        unix_user(operator.name);
        assert!(
            operator.process.ended().is_none(),
            "the process of {} must still run",
            operator.name
        );
        assert!(!members().contains(operator.name), "{}", members());
        let suspended = host.cli(&["account", "suspend", operator.name]);
        assert!(operator.process.ended().is_none(), "{suspended:#?}");
    }
    assert!(!members().contains("root"), "{}", members());
    for account in ["root", operators[0].name] {
        let found = run(
            text(&host.root.join("lib/sftp-import-authorized-keys")),
            &["--database", text(&host.keys_db()), account, &format!("SHA256:{account}")],
        );
        assert_eq!(found.stdout, "", "{account} must not be able to log in");
    }
}

/// The rows add and change keys and accounts in every way that could allow a login. Some changes
/// help another partner.
#[test]
fn rows_in_the_state_database_cannot_allow_logins() {
    let host = Host::running();
    let account = host.account("e2e-registry");
    let other = host.account("e2e-registry-other");
    let lists = |host: &Host| host.cli(&["key", "list", "--json"]).ok().stdout;
    let before = lists(&host);
    let fingerprint =
        host.query("SELECT fingerprint FROM key WHERE account = 'e2e-registry-other'")[0].clone();
    as_daemon(
        &host.state().join("state.db"),
        "INSERT INTO key (account, name, algorithm, public_key, fingerprint, created_at)
         SELECT 'e2e-registry', 'mine', algorithm, public_key, fingerprint, 0 FROM key
         WHERE account = 'e2e-registry-other'",
    );
    let provisioned = host.cli(&["provision"]).ok();
    assert!(provisioned.stdout.contains("key \"mine\""), "{provisioned:#?}");
    let thief = Account { host: &host, id: account.id.clone(), key: other.key.clone() };
    assert!(!thief.can_log_in(), "a key that nobody approved must not work");
    assert_eq!(lists(&host), before);

    host.cli(&["key", "revoke", &other.id, &fingerprint]).ok();
    as_daemon(&host.state().join("state.db"), "UPDATE key SET revoked_at = NULL");
    host.cli(&["provision"]).ok();
    assert!(!other.can_log_in(), "a revoked key must not work");
    host.cli(&["account", "suspend", &account.id]).ok();
    as_daemon(&host.state().join("state.db"), "UPDATE account SET state = 'active'");
    host.cli(&["provision"]).ok();
    assert!(!account.can_log_in(), "a suspended account must not log in");
    host.cli(&["account", "resume", &account.id]).ok();
    assert!(account.can_log_in());
}

/// A process of the daemon's user can hold the write lock of the state database forever.
#[test]
fn a_locked_state_database_does_not_delay_revocation() {
    let host = Host::new("");
    let account = host.account("e2e-registry-locked");
    assert!(account.can_log_in());
    let code = "import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute('BEGIN IMMEDIATE')
print('locked', flush=True)
time.sleep(600)";
    let database = host.state().join("state.db");
    let user = ["--reuid=sftp-import", "--regid=sftp-import", "--clear-groups", "/usr/bin/python3"];
    let log = host.root.join("log/lock");
    let args = [&user[..], &["-c", code, text(&database)]].concat();
    let lock = Process::start("setpriv", &args, &log);
    until("the lock", SOON, || {
        std::fs::read_to_string(&log).is_ok_and(|output| output.contains("locked")).then_some(())
    });
    let revoked = host.cli(&["key", "revoke", &account.id, account.key_name()]).refused();
    assert!(revoked.stderr.contains("the change is in force"), "{revoked:#?}");
    assert!(!account.can_log_in());
    drop(lock);
    let provisioned = host.cli(&["provision"]).ok();
    assert!(provisioned.stdout.contains("revoked, because root"), "{provisioned:#?}");
}
