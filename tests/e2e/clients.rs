//! Tests that a pair from every client that partners use is imported.

use std::path::Path;

use crate::support::account::Account;
use crate::support::catchers::PYTHON;
use crate::support::host::{Host, text};
use crate::support::pair::Pair;
use crate::support::process::run;

/// Creates a host with one account and one pair of three events. Runs `upload` with them, and
/// checks the import.
#[track_caller]
fn with_pair(id: &str, upload: impl FnOnce(&Account<'_>, &Pair)) {
    let host = Host::running();
    let account = host.account(id);
    let pair = Pair::events(&account.local(), "events", 3);
    upload(&account, &pair);
    account.expect_accepted(&pair, 3);
    let import = account.report("events")["import"].as_str().unwrap().to_owned();
    let rows = account.events(&import);
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows[0].contains("user0@example.com") && rows[0].contains("a, b 0"), "{rows:?}");
}

#[test]
fn openssh_sftp_uploads_are_imported() {
    with_pair("e2e-client-sftp", |account, pair| account.upload(pair));
}

/// The session follows the product page: it contains only `put filename.csv` and `put
/// file.manifest`.
#[test]
fn openssh_sftp_can_download_the_report() {
    with_pair("e2e-client-fetch", |account, pair| {
        account.upload(pair);
        account.report(&pair.stem);
        let got = account.local().join("answer.json");
        account.sftp(&format!("get /results/events.result.json {}\n", got.display())).ok();
        let answer = std::fs::read_to_string(got).unwrap();
        assert!(answer.contains("\"completed\""), "{answer}");
    });
}

#[test]
fn openssh_scp_uploads_are_imported() {
    with_pair("e2e-client-scp", |account, pair| {
        for file in [&pair.data, &pair.manifest] {
            let mut args = account.options();
            args.extend(["-P".into(), account.host.port.to_string()]);
            args.extend([text(file).into(), format!("{}:", account.login())]);
            run("scp", &args).ok();
        }
    });
}

/// Only the login is configured. rclone sets the time of the uploaded file and reads its
/// attributes.
#[test]
fn rclone_uploads_are_imported() {
    with_pair("e2e-client-rclone", |account, pair| {
        for file in [&pair.data, &pair.manifest] {
            run("rclone", &copy(account, file)).ok();
        }
    });
}

/// Returns the arguments of `rclone copy FILE :sftp:`.
fn copy(account: &Account<'_>, file: &Path) -> Vec<String> {
    let port = account.host.port.to_string();
    let key = text(&account.key);
    ["--config", "/dev/null", "--sftp-host", "127.0.0.1", "--sftp-port", &port]
        .into_iter()
        .chain(["--sftp-user", &account.id, "--sftp-key-file", key])
        .chain(["--retries", "1", "copy", text(file), ":sftp:"])
        .map(String::from)
        .collect()
}

#[test]
fn lftp_uploads_are_imported() {
    with_pair("e2e-client-lftp", |account, pair| {
        let ssh = format!("ssh -a -x {}", account.options().join(" "));
        let commands = format!(
            "set sftp:connect-program \"{ssh}\"; set cmd:fail-exit yes; set net:max-retries 1; \
             open -u {},none sftp://127.0.0.1:{}; put {}; put {}",
            account.id,
            account.host.port,
            pair.data.display(),
            pair.manifest.display()
        );
        run("lftp", &["--norc", "-c", &commands]).ok();
    });
}

const PARAMIKO: &str = r#"
import os, paramiko, sys
port, user, key, *files = sys.argv[1:]
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
client.connect("127.0.0.1", int(port), user, key_filename=key, allow_agent=False, look_for_keys=False)
sftp = client.open_sftp()
for file in files:
    sftp.put(file, os.path.basename(file))
client.close()
"#;

/// After the upload, `put` asks for the size of the file. It fails if the file no longer exists.
#[test]
fn paramiko_uploads_are_imported() {
    with_pair("e2e-client-paramiko", |account, pair| {
        let port = account.host.port.to_string();
        let (key, data, manifest) = (text(&account.key), text(&pair.data), text(&pair.manifest));
        run(PYTHON, &["-c", PARAMIKO, &port, &account.id, key, data, manifest]).ok();
    });
}
