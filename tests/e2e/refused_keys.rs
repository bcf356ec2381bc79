//! Tests of `key refused`. A real sshd refuses keys of real clients. The tests send sshd's own log
//! lines in the format of the journal, and listen at the socket of systemd.

use std::io::Write as _;
use std::os::unix::net::{UnixListener, UnixStream};

use serde_json::Value;

use crate::support::account::Account;
use crate::support::host::{Host, SOON, set_mode, text};
use crate::support::process::{Ran, run, run_with, until};

/// The journal of a host, which contains the log of sshd.
struct Journal<'h> {
    host: &'h Host,
    listener: UnixListener,
    stream: UnixStream,
    /// The entries that were sent.
    entries: Vec<String>,
}

impl<'h> Journal<'h> {
    /// Starts the daemon of `host` with a journal.
    fn start(host: &'h Host) -> Self {
        let (listener, stream) = Self::connect(host);
        Self { host, listener, stream, entries: Vec::new() }
    }

    fn connect(host: &Host) -> (UnixListener, UnixStream) {
        let socket = host.root.join("journal");
        let _ = std::fs::remove_file(&socket); // left by an earlier connection
        let listener = UnixListener::bind(&socket).unwrap();
        run("chown", &["sftp-import", text(&socket)]).ok();
        host.start_daemon_with(&[], &[&format!("SFTP_IMPORT_JOURNAL={}", socket.display())]);
        let (stream, _) = listener.accept().unwrap();
        (listener, stream)
    }

    /// Sends the lines that sshd has logged since the last call.
    fn send_new_lines(&mut self) {
        let log = self.host.sshd_log();
        let lines = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        for line in lines.skip(self.entries.len()) {
            let micros = jiff::Timestamp::now().as_microsecond().to_string();
            let entry = serde_json::json!({"MESSAGE": line.trim_end(), "_UID": "0",
                "_EXE": "/usr/sbin/sshd", "__REALTIME_TIMESTAMP": micros});
            self.entries.push(entry.to_string());
            writeln!(self.stream, "{entry}").unwrap();
        }
    }

    /// Ends the connection. The next connection begins with the entries of the last day.
    fn reconnect(&mut self) {
        self.stream.shutdown(std::net::Shutdown::Both).unwrap();
        (self.stream, _) = self.listener.accept().unwrap();
        self.send_entries();
    }

    fn restart_daemon(&mut self) {
        self.host.stop_daemon();
        (self.listener, self.stream) = Self::connect(self.host);
        self.send_entries();
    }

    fn send_entries(&mut self) {
        for entry in &self.entries {
            writeln!(self.stream, "{entry}").unwrap();
        }
    }

    /// Tries to log in, which sshd must refuse.
    #[track_caller]
    fn refuse(&mut self, account: &Account<'_>) {
        let ran = account.sftp("pwd\n").refused();
        assert!(ran.stderr.contains("Permission denied (publickey)"), "{ran:#?}");
        self.send_new_lines();
    }
}

fn fingerprint(account: &Account<'_>) -> String {
    let printed = run("ssh-keygen", &["-lf", text(&account.key)]).ok().stdout;
    printed.split(' ').nth(1).unwrap().to_owned()
}

fn refused_keys(account: &Account<'_>) -> Vec<Value> {
    let printed = account.host.cli(&["key", "refused", &account.id, "--json"]).ok().json();
    printed.as_array().unwrap().clone()
}

/// Waits until the key is among the refused keys of its account.
#[track_caller]
fn refused_key(account: &Account<'_>) -> Value {
    let fingerprint = fingerprint(account);
    until("the refused key", SOON, || {
        refused_keys(account).into_iter().find(|key| key["fingerprint"] == fingerprint)
    })
}

/// Runs the command of a step in a shell, where `sftp-import` is this host's. `home` is the home
/// folder.
fn paste(account: &Account<'_>, key: &Value, step: usize, home: &str, input: &str) -> Ran {
    let host = account.host;
    let bin = host.root.join("local/bin");
    if !bin.exists() {
        std::fs::create_dir(&bin).unwrap();
        let program = host.root.join("lib/sftp-import");
        let (program, config) = (program.display(), host.config());
        let script = format!("#!/bin/sh\nexec {program} --config {} \"$@\"\n", config.display());
        std::fs::write(bin.join("sftp-import"), script).unwrap();
        set_mode(&bin.join("sftp-import"), 0o755);
    }
    let command = key["nextSteps"][step]["command"].as_str().unwrap();
    let environment = format!("HOME={home} PATH={}:$PATH", bin.display());
    run_with("sh", &["-c", &format!("export {environment}; {command}")], input)
}

/// Each command that is printed is pasted into a shell, and must let the key log in.
#[test]
fn each_refused_key_is_explained() {
    let host = Host::new("");
    let account = host.account("e2e-refused");
    let other = host.account("e2e-refused-other");
    let [revoked, expired, elsewhere, unknown] =
        ["revoked", "expired", "elsewhere", "unknown"].map(|name| account.with_another_key(name));
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(4);
    expired.add_key(&["--expires", &format!("{end:.0}")]).ok();
    revoked.add_key(&[]).ok();
    host.cli(&["key", "revoke", &account.id, revoked.key_name()]).ok();
    elsewhere.add_key(&["--from", "192.0.2.0/24"]).ok();
    let of_other = Account { host: &host, id: account.id.clone(), key: other.key.clone() };
    let mut journal = Journal::start(&host);
    for refused in [&revoked, &elsewhere, &unknown, &unknown, &of_other] {
        journal.refuse(refused);
    }
    until("the key's expiry", SOON, || (jiff::Timestamp::now() > end).then_some(()));
    journal.refuse(&expired);

    for (account, reason, times) in [
        (&revoked, "revoked", 1),
        (&elsewhere, "elsewhere", 1),
        (&expired, "expired", 1),
        (&unknown, "unknown", 2),
        (&of_other, "unknown", 1),
    ] {
        let key = refused_key(account);
        assert_eq!((key["reason"].as_str(), key["times"].as_i64()), (Some(reason), Some(times)));
        assert_eq!((&key["address"], &key["algorithm"]), (&"127.0.0.1".into(), &"ED25519".into()));
        assert!(key["firstAt"].as_str() <= key["lastAt"].as_str(), "{key:#}");
    }
    let listed = host.cli(&["key", "refused", &account.id]).ok().stdout;
    assert!(listed.contains("the key may be used from 192.0.2.0/24 only"), "{listed}");
    assert!(!listed.contains(&other.id), "{listed}");
    assert_eq!(refused_keys(&other), [Value::Null; 0]);

    let home = host.root.join("local/home");
    std::fs::create_dir_all(home.join(".ssh")).unwrap();
    for key in [&unknown, &elsewhere] {
        let public = format!("{}.pub", key.key.display());
        std::fs::copy(&public, home.join(".ssh").join(format!("{}.pub", key.key_name()))).unwrap();
    }
    for (account, step) in [(&revoked, 1), (&elsewhere, 0), (&expired, 0)] {
        paste(account, &refused_key(account), step, text(&home), "").ok();
        assert!(account.can_log_in(), "{}", account.key_name());
        assert_eq!(refused_key(account)["reason"], "added-since");
    }
    let line = paste(&unknown, &refused_key(&unknown), 0, text(&home), "").stdout;
    assert_eq!(line, std::fs::read_to_string(format!("{}.pub", unknown.key.display())).unwrap());
    paste(&unknown, &refused_key(&unknown), 1, text(&home), &line).ok();
    assert!(unknown.can_log_in());

    host.cli(&["account", "suspend", &account.id]).ok();
    journal.refuse(&account);
    let key = refused_key(&account);
    assert_eq!(key["reason"], "suspended");
    paste(&account, &key, 0, text(&home), "").ok();
    assert!(account.can_log_in());
    assert_eq!(refused_key(&account)["reason"], "valid");
}

/// An agent offers a wrong key before the right one. A client chooses a user name that imitates the
/// rest of sshd's line. Neither is a refused key.
#[test]
fn an_agent_with_the_right_key_is_accepted() {
    let host = Host::new("");
    let account = host.account("e2e-refused-agent");
    let (wrong, stranger) = (account.with_another_key("wrong"), account.with_another_key("not"));
    let mut journal = Journal::start(&host);
    let tail = format!("port 1 ssh2: ED25519 {}", fingerprint(&wrong));
    let forged = format!("{} from 192.0.2.7 {tail}", account.id);
    let mut hostile = wrong.options();
    hostile.extend(["-o".to_owned(), format!("User=\"{forged}\"")]);
    hostile.extend(["-P".to_owned(), host.port.to_string(), "127.0.0.1".to_owned()]);
    let ran = run("sftp", &hostile).refused();
    assert!(ran.stderr.contains("Permission denied"), "{ran:#?}");
    let script = format!(
        "ssh-add -q {} && ssh-add -q {} && exec sftp -F none -o BatchMode=yes \
         -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -P {} -b - {}",
        wrong.key.display(),
        account.key.display(),
        host.port,
        account.login()
    );
    run_with("ssh-agent", &["sh", "-c", &script], "pwd\n").ok();
    let log = host.sshd_log();
    let refused = format!("Failed publickey for {} from 127.0.0.1", account.id);
    assert!(log.contains(&refused) && log.contains("Accepted publickey for"), "{log}");
    let invalid = format!("Invalid user {} from 192.0.2.7 port 1", account.id);
    assert!(log.contains(&invalid), "{log}");
    journal.send_new_lines();
    journal.refuse(&stranger);
    assert_eq!(refused_key(&stranger)["times"], 1);
    assert_eq!(refused_keys(&account).len(), 1, "earlier refusals are stored before later ones");
}

#[test]
fn a_repeated_journal_counts_no_key_twice() {
    let host = Host::new("");
    let account = host.account("e2e-refused-again");
    let (one, other) = (account.with_another_key("one"), account.with_another_key("other"));
    let last = account.with_another_key("last");
    let mut journal = Journal::start(&host);
    journal.refuse(&one);
    journal.refuse(&one);
    journal.reconnect();
    assert_eq!(refused_key(&one)["times"], 2);
    journal.refuse(&other);
    journal.restart_daemon(); // the refused login was held back
    journal.refuse(&last);
    assert_eq!(refused_key(&last)["times"], 1);
    assert_eq!(refused_key(&other)["times"], 1);
    assert_eq!(refused_key(&one)["times"], 2);
}
