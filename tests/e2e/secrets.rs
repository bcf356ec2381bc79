//! Tests of the files that each program can read, and of the places where no secret may appear.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::account::Account;
use crate::support::catchers::PYTHON;
use crate::support::host::{Host, REPOSITORY, SOON, set_mode, text};
use crate::support::pair::Pair;
use crate::support::process::{Process, Ran, run};

const HELPER: &str = "_sftp-import-keys";
const PASSWORD: &str = "correct-horse-battery-staple";

/// Runs a command as the Unix user that runs the helper for sshd.
fn as_helper(command: &[&str]) -> Ran {
    let mut words = vec!["-u", HELPER, "--"];
    words.extend(command);
    run("runuser", &words)
}

/// Returns every file and folder that the helper's user must not be able to read.
fn out_of_reach(host: &Host, account: &Account<'_>) -> Vec<PathBuf> {
    let (state, accounts) = (host.state(), host.accounts());
    let mut paths: Vec<PathBuf> =
        ["state.db", "state.db-wal", "state.db-shm", "daemon.lock", "data"]
            .iter()
            .map(|name| state.join(name))
            .collect();
    let mut folders = vec![state.join("data")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path.clone());
            }
            paths.push(path);
        }
    }
    paths.extend([account.incoming(), accounts.join(".spool"), host.root.join("etc/password")]);
    paths
}

#[test]
fn the_helpers_user_reads_only_published_keys() {
    let host = Host::running();
    let account = host.account("e2e-helper");
    account.import_all(&Pair::profiles(&account.local(), "p", 2), 4);
    account.import_all(&Pair::events(&account.local(), "e", 2), 2);
    let password = host.root.join("etc/password");
    fs::write(&password, PASSWORD).unwrap();
    set_mode(&password, 0o640);
    let helper = host.root.join("lib/sftp-import-authorized-keys");
    let keys = host.keys_db();
    let fingerprint = run("ssh-keygen", &["-lf", &format!("{}.pub", account.key.display())]).ok();
    let fingerprint = fingerprint.stdout.split_whitespace().nth(1).unwrap().to_owned();
    let output = as_helper(&[text(&helper), "--database", text(&keys), &account.id, &fingerprint]);
    assert!(output.ok().stdout.starts_with("restrict ssh-ed25519 "));
    as_helper(&["cat", text(&keys)]).ok();

    let paths = out_of_reach(&host, &account);
    assert!(paths.iter().any(|path| path.ends_with("part-00000.parquet")), "{paths:?}");
    for path in paths {
        assert!(path.exists(), "{} must exist for this test", path.display());
        let tool = if path.is_dir() { "ls" } else { "cat" };
        let output = as_helper(&[tool, text(&path)]);
        assert_ne!(output.code, Some(0), "{output:#?}");
        assert!(output.stderr.contains("Permission denied"), "{output:#?}");
    }
    for path in [keys.clone(), keys.with_file_name("new"), host.state().join("new")] {
        let output = as_helper(&["sh", "-c", &format!("echo x >> {}", path.display())]);
        assert!(output.stderr.contains("Permission denied"), "{output:#?}");
    }
    as_helper(&["rm", "-f", text(&keys)]).refused();
    assert!(account.can_log_in());
}

/// The open files are read from /proc, so that the result does not depend on who opened them.
#[test]
fn the_daemon_opens_only_its_own_files() {
    let host = Host::running();
    let account = host.account("e2e-process");
    account.import_all(&Pair::events(&account.local(), "e", 2), 2);
    host.wait_until_quiet(SOON);
    let process = format!("/proc/{}", host.daemon().as_ref().unwrap().id());
    let status = fs::read_to_string(format!("{process}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
        line.unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    // CAP_DAC_READ_SEARCH is bit 2, and CAP_LEASE is bit 28 (capabilities(7)).
    assert_eq!(field("CapBnd"), "0000000010000004");
    let owner = fs::metadata(host.state().join("state.db")).unwrap();
    assert_eq!(field("Uid"), vec![owner.uid().to_string(); 4].join(" "));
    assert_eq!(field("Gid"), vec![owner.gid().to_string(); 4].join(" "));
    assert_eq!((field("Groups").as_str(), field("NoNewPrivs").as_str()), ("", "1"));

    let own = [host.state(), host.accounts(), host.root.join("log"), host.root.join("etc")];
    for entry in fs::read_dir(format!("{process}/fd")).unwrap().flatten() {
        let Ok(target) = fs::read_link(entry.path()) else { continue }; // already closed
        let name = target.to_string_lossy();
        let is_no_file = ["socket:", "pipe:", "anon_inode:", "/dev/null"]
            .iter()
            .any(|start| name.starts_with(start));
        assert!(is_no_file || own.iter().any(|path| target.starts_with(path)), "{name}");
        assert!(!target.starts_with(host.keys()), "the daemon must not have {name} open");
    }
}

/// Returns a host that logs in to its mail server, signs webhooks and logs with the most detailed
/// level.
fn notifying_host() -> (Host, Process) {
    let host = Host::new("");
    let (mail, log) = (host.root.join("mail-login"), host.root.join("log/smtp-login"));
    let script = format!("{REPOSITORY}/tests/catchers/smtp.py");
    let login = format!("imports:{PASSWORD}");
    let args = [&script, "--port", "0", "--folder", text(&mail), "--login", &login];
    let (catcher, port) = Process::start_server(PYTHON, &args, &log);
    let password = host.root.join("etc/password");
    fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let owner = fs::metadata(host.state()).unwrap();
    chown(&password, Some(0), Some(owner.gid())).unwrap();
    set_mode(&password, 0o640);
    let config = fs::read_to_string(host.config()).unwrap();
    let url = format!("url = \"smtp://127.0.0.1:{}\"", host.catchers.smtp_port);
    let with_login = format!(
        "url = \"smtp://imports@127.0.0.1:{port}\"\npassword-file = \"{}\"",
        password.display()
    );
    fs::write(host.config(), config.replace(&url, &with_login)).unwrap();
    (host, catcher)
}

/// Returns the forms in which a program could write a secret by mistake.
fn forms(secret: &str) -> Vec<String> {
    let base64 = |text: &str| {
        run(
            PYTHON,
            &[
                "-c",
                "import base64,sys; print(base64.b64encode(sys.argv[1].encode().\
            decode('unicode_escape').encode('latin-1')).decode())",
                text,
            ],
        )
        .ok()
        .stdout
        .trim()
        .to_owned()
    };
    let plain = base64(&format!("\\0imports\\0{secret}"));
    let bytes: Vec<String> = secret.bytes().map(|byte| byte.to_string()).collect();
    vec![secret.to_owned(), base64(secret), plain, bytes.join(", ")]
}

#[test]
fn secrets_do_not_reach_logs_or_lists() {
    let (host, _catcher) = notifying_host();
    let account = host.account("e2e-secrets");
    let added =
        host.cli(&["--json", "webhook", "add", &account.id, "crm", &host.catchers.url()]).ok();
    let webhook = added.json()["secret"].as_str().unwrap().to_owned();
    host.cli(&["account", "set", &account.id, "--webhook", "crm"]).ok();
    host.start_daemon_under(&["env", "SFTP_IMPORT_LOG=trace", "RUST_LOG=trace"]);
    account.import_all(&Pair::events(&account.local(), "e", 2), 2);
    host.wait_until_quiet(SOON);
    let rotated = host.cli(&["--json", "webhook", "rotate", &account.id, "crm"]).ok();
    let rotated = rotated.json()["secret"].as_str().unwrap().to_owned();
    account.import_all(&Pair::events(&account.local(), "e2", 2), 2);
    host.wait_until_quiet(SOON);
    let deliveries = host.query("SELECT DISTINCT channel || state FROM delivery ORDER BY 1");
    assert_eq!(deliveries, ["emaildelivered", "webhookdelivered"], "both secrets must be used");

    let daemon = fs::read_to_string(host.root.join("log/daemon")).unwrap();
    assert!(daemon.contains("delivered"), "the daemon must log its deliveries: {daemon}");
    let environment = format!("/proc/{}/environ", host.daemon().as_ref().unwrap().id());
    let environment = String::from_utf8(fs::read(environment).unwrap()).unwrap();
    assert!(environment.contains("SFTP_IMPORT_LOG=trace"), "the log level must be trace");
    let mut sinks = vec![("the daemon's log".to_owned(), daemon)];
    let export = host.root.join("export");
    let lists: &[&[&str]] = &[
        &["account", "list"],
        &["account", "show", &account.id],
        &["key", "list"],
        &["webhook", "list"],
        &["delivery", "list"],
        &["delivery", "show", "1"],
        &["import", "list"],
        &["import", "log"],
        &["config", "check"],
        &["webhook", "test", &account.id, "crm"],
        &["account", "export", &account.id, text(&export)],
    ];
    for words in lists {
        for json in [false, true] {
            let mut words = words.to_vec();
            if json {
                if words.contains(&"export") {
                    continue;
                }
                words.insert(0, "--json");
            }
            let output = host.cli(&words);
            sinks.push((words.join(" "), output.stdout + &output.stderr));
        }
    }
    sinks.push(("the export".into(), all_text(&export)));
    sinks.push(("results/".into(), all_text(&account.results())));
    sinks.push(("mails".into(), all_text(&host.root.join("mail-login"))));
    let bare = |secret: &str| secret.trim_start_matches("whsec_").to_owned();
    for secret in [PASSWORD.to_owned(), bare(&webhook), bare(&rotated)] {
        for form in forms(&secret) {
            for (name, text) in &sinks {
                assert!(!text.contains(&form), "{name} contains a secret in the form {form}");
            }
        }
    }
    let command = fs::read(format!("/proc/{}/cmdline", host.daemon().as_ref().unwrap().id()));
    assert!(!String::from_utf8_lossy(&command.unwrap()).contains(PASSWORD));
}

fn all_text(folder: &Path) -> String {
    let mut text = String::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                text.push_str(&String::from_utf8_lossy(&fs::read(&path).unwrap()));
            }
        }
    }
    text
}

#[test]
fn a_password_that_others_can_read_is_refused() {
    let (host, _catcher) = notifying_host();
    let checked = host.cli(&["--json", "config", "check"]).ok();
    assert_eq!(checked.json()["exists"], Value::from(true));
    let password = host.root.join("etc/password");
    set_mode(&password, 0o644);
    let output = host.cli(&["config", "check"]).refused();
    let fix = format!("chmod 0640 {}", password.display());
    assert!(
        output.stderr.contains("can be read by everybody") && output.stderr.contains(&fix),
        "{output:#?}"
    );
    fs::remove_file(&password).unwrap();
    let output = host.cli(&["config", "check"]).refused();
    assert!(output.stderr.contains("cannot"), "{output:#?}");
}
