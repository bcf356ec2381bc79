//! Tests of `sftp-import activity`, and of the users named in the activity log.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside #[test]")]

use std::process::{Command, Stdio};

use serde_json::Value;
use sftp_import::state::{self, State, activity};
use tempfile::TempDir;

struct Host(TempDir);

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config =
            format!("[paths]\nstate = {0:?}\nadmin = {0:?}\nkeys = {0:?}\n", folder.path());
        std::fs::write(folder.path().join("config.toml"), config).unwrap();
        Self(folder)
    }

    fn state(&self) -> State {
        State::open(&self.0.path().join("state.db")).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sftp-import"));
        command.arg("--config").arg(self.0.path().join("config.toml")).args(arguments);
        command.env_remove("SUDO_USER");
        command
    }

    fn add(&self, lines: &[(&str, i64)]) {
        let lines = lines.iter().map(|(id, second)| {
            let at = jiff::Timestamp::from_second(*second).unwrap();
            (id.parse().unwrap(), at)
        });
        let all = |tx: &state::Transaction<'_>| {
            lines.clone().try_for_each(|(id, at)| {
                activity::log(tx, at, Some(&id), None, "file.closed", "x\"\u{1b}[2J")
            })
        };
        self.state().write(all).unwrap();
    }

    fn exported(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.command(&[&["activity", "export"], arguments].concat()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains('\u{1b}'), "{text}");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[test]
fn the_export_is_json_lines_oldest_first() {
    let host = Host::new();
    host.add(&[("acme", 90_000), ("other", 100), ("acme", 200)]);
    let lines = host.exported(&[]);
    let accounts: Vec<_> = lines.iter().map(|line| line["account"].as_str().unwrap()).collect();
    assert_eq!(accounts, ["other", "acme", "acme"]);
    assert_eq!(
        lines[0],
        serde_json::json!({"at": "1970-01-01T00:01:40Z", "account": "other", "import": null,
            "action": "file.closed", "detail": "x\"\u{1b}[2J", "actor": null})
    );
    assert_eq!(host.exported(&["--account", "acme"]).len(), 2);
    let since = host.exported(&["--since", "1970-01-02"]);
    assert_eq!((since.len(), &since[0]["at"]), (1, &"1970-01-02T01:00:00Z".into()));
    assert_eq!(host.exported(&["--account", "nobody", "--json"]), [Value::Null; 0]);
}

/// A reader such as head(1) closes the pipe before the end.
#[test]
fn exporting_to_a_closed_pipe_succeeds() {
    let host = Host::new();
    host.add(&vec![("acme", 100); 5000]);
    let mut command = host.command(&["activity", "export"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn commands_under_sudo_log_the_original_user() {
    let host = Host::new();
    let is_root = nix::unistd::geteuid().is_root();
    host.add(&[("acme", 100)]);
    let sql = "INSERT INTO account (id, created_at) VALUES ('acme', 0)";
    let database = host.0.path().join("state.db");
    rusqlite::Connection::open(database).unwrap().execute(sql, []).unwrap();
    let actor = |user: Option<&str>, name: &str| {
        let url = "https://8.8.8.8/in";
        let mut command = host.command(&["webhook", "add", "acme", name, url]);
        if let Some(user) = user {
            command.env("SUDO_USER", user);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let lines = host.exported(&["--account", "acme"]);
        let line = lines.iter().find(|line| line["detail"] == format!("{name}: {url}")).unwrap();
        line["actor"].as_str().unwrap().to_owned()
    };
    let without = actor(None, "a");
    if is_root {
        assert_eq!(actor(Some("nobody"), "b"), "nobody");
        assert_eq!(actor(Some("no-such-user"), "c"), without);
        let output = host.command(&["import", "log"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(" nobody ") && text.contains(" BY "), "{text}");
    } else {
        assert_eq!(actor(Some("nobody"), "b"), without, "only root's environment must be trusted");
    }
}
