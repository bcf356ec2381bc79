//! Attacks on root by whoever owns the daemon's user: what it writes commands root nothing.

use std::path::Path;

use crate::host::{Host, text};
use crate::process::{Process, run};
use crate::unix::{changing_users, remove_user};

const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJ0uLqA0kQm4cT0l3wVxXGx9kq3v0m5c4n6Zq7Hk1F2d";

/// A Unix user that is no account's, with a process.
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

/// Accounts named as other people's Unix users, with their ids: inside the range of accounts too.
#[test]
fn rows_of_the_state_database_change_no_unix_user_of_others() {
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

    let ran = host.cli(&["provision"]).refused();
    assert!(ran.stderr.contains("e2e-operator1"), "{ran:#?}");
    assert_eq!(before, ["root", operators[0].name, operators[2].name].map(unix_user));
    for operator in &mut operators {
        unix_user(operator.name);
        assert!(operator.process.ended().is_none(), "{} has no process", operator.name);
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
        assert_eq!(found.stdout, "", "{account} can log in");
    }
}
