//! Tests of `import watch` during a real import: lines and JSON, a restart of the daemon, and the
//! exit status.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::host::{Host, SOON, text};
use crate::support::pair::Pair;
use crate::support::process::{Process, until};

/// Starts `import watch` in the background. Its output is written to a file.
fn watch(host: &Host, json: bool, import: &str) -> (Process, std::path::PathBuf) {
    let log = host.root.join(format!("watch-{import}-{json}"));
    let (program, config) = (host.root.join("lib/sftp-import"), host.config());
    let mut words = vec!["--config", text(&config), "import", "watch", import];
    words.extend(json.then_some("--json"));
    (Process::start(text(&program), &words, &log), log)
}

#[test]
fn import_watch_continues_after_a_restart() {
    let host = Host::running();
    let account = host.account("e2e-watch");
    let folder = account.local();
    account.upload(&Pair::events(&folder, "w1", 400_000));
    let first = |sql: &str| host.query(sql).into_iter().next();
    let import = until("an import", SOON, || first("SELECT id FROM import"));
    let (mut lines, lines_log) = watch(&host, false, &import);
    let (mut json, json_log) = watch(&host, true, &import);
    let text = |log: &std::path::Path| std::fs::read_to_string(log).unwrap();
    until("output of both", SOON, || {
        (text(&lines_log).contains(" is ") && text(&json_log).contains("\"state\"")).then_some(())
    });
    host.daemon().as_ref().unwrap().signal(Signal::SIGKILL);
    drop(host.daemon().take());
    host.start_daemon();
    assert_eq!(lines.wait(SOON * 3).code(), Some(0), "{}", text(&lines_log));
    assert_eq!(json.wait(SOON * 3).code(), Some(0), "{}", text(&json_log));
    assert!(text(&lines_log).contains("400,000 read = 400,000 accepted"), "{}", text(&lines_log));
    let objects: Vec<Value> =
        text(&json_log).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = objects.last().unwrap();
    assert_eq!((&last["state"], &last["import"]), (&"completed".into(), &import.clone().into()));
    assert!(objects.len() >= 2 && objects[0]["finishedAt"].is_null(), "{objects:#?}");

    account.upload(&Pair::events_with(&folder, "w2", 1, &[0]));
    account.report("w2");
    let failed = until("the second", SOON, || first("SELECT id FROM import WHERE n = 2"));
    assert_eq!(host.cli(&["import", "watch", &failed]).code, Some(1));
    assert_eq!(host.cli(&["import", "watch", "e2e-77"]).code, Some(1));

    let listed = |words: &[&str]| {
        let all: Vec<&str> = ["--json", "import", "list"].iter().chain(words).copied().collect();
        let rows = host.cli(&all).ok().json();
        let ids =
            rows.as_array().unwrap().iter().map(|row| row["import"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(listed(&["--state", "failed", "--since", "1h"]), std::slice::from_ref(&failed));
    assert_eq!(listed(&["--state", "failed", "--state", "completed"]), [failed, import.clone()]);
    assert_eq!(listed(&["--manifest", "w1", "--type", "event"]), [import]);
    assert_eq!(listed(&["--since", "2100-01-01"]), [""; 0]);
}
