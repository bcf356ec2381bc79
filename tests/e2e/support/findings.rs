//! What `sftp-import doctor` finds on a test's host, and what sshd logs when it is right.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::account::Account;
use crate::support::host::{Host, SOON, set_mode, text};
use crate::support::process::{Ran, run, until};

/// The options that make doctor check this host's sshd.
pub fn arguments(host: &Host) -> [String; 5] {
    let sshd_config = host.root.join("ssh/sshd_config");
    ["doctor", "--json", "--from=127.0.0.1", "--sshd-config", text(&sshd_config)].map(String::from)
}

/// What doctor finds, and how it exits.
#[track_caller]
pub fn examine(host: &Host) -> Findings {
    let arguments = arguments(host);
    Findings::of(&host.cli(&arguments.each_ref().map(String::as_str)))
}

/// The same after `script`, in a mount namespace that goes with it.
#[track_caller]
pub fn examine_under(host: &Host, script: &str) -> Findings {
    let doctor = arguments(host).join(" ");
    let program = host.root.join("lib/sftp-import");
    let doctor = format!("{} --config {} {doctor}", text(&program), text(&host.config()));
    let script = format!("set -e; {script}; exec {doctor}");
    Findings::of(&run("unshare", &["--mount", "sh", "-c", &script]))
}

pub struct Findings {
    pub code: Option<i32>,
    pub all: Vec<Value>,
}

impl Findings {
    #[track_caller]
    pub fn of(ran: &Ran) -> Self {
        let report = ran.json();
        let verdict = ["ok", "warn", "fail"].iter().position(|word| report["verdict"] == *word);
        assert_eq!(ran.code, verdict.map(|place| i32::try_from(place).unwrap()), "{ran:#?}");
        Self { code: ran.code, all: report["findings"].as_array().unwrap().clone() }
    }

    /// The worst finding of `check`, as `level: message`.
    #[track_caller]
    pub fn text(&self, check: &str) -> String {
        let finding = self.get(check);
        format!("{}: {}", finding["level"].as_str().unwrap(), finding["message"].as_str().unwrap())
    }

    #[track_caller]
    fn get(&self, check: &str) -> &Value {
        let of_check = self.all.iter().filter(|finding| finding["check"] == check);
        let level = |finding: &&Value| {
            ["fail", "warn", "ok"].iter().position(|word| finding["level"] == *word)
        };
        of_check.min_by_key(level).unwrap_or_else(|| panic!("nothing of {check}: {:#?}", self.all))
    }

    /// `check` must have failed with `message` and a fix; returns what the log is to show.
    #[track_caller]
    pub fn failed(&self, check: &str, message: &str) -> String {
        let text = self.text(check);
        assert!(text.starts_with("fail: ") && text.contains(message), "{check}: {text}");
        assert!(!self.get(check)["fix"].as_str().unwrap_or_default().is_empty(), "{check}");
        self.get(check)["log"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub fn warned(&self, check: &str, message: &str) {
        let text = self.text(check);
        assert!(text.starts_with("warn: ") && text.contains(message), "{check}: {text}");
        assert!(!self.get(check)["fix"].as_str().unwrap_or_default().is_empty(), "{check}");
    }
}

/// Tries a session, which may fail, and waits for sshd to log `words`.
#[track_caller]
pub fn expect_in_sshd_log(account: &Account<'_>, words: &str) -> Ran {
    let before = account.host.sshd_log().len();
    let ran = account.sftp("pwd\n");
    until(&format!("sshd to log {words:?}"), SOON, || {
        account.host.sshd_log()[before..].contains(words).then_some(())
    });
    ran
}

/// No check fails: what warns is what a test host can't have.
#[track_caller]
pub fn expect_content(host: &Host) {
    let findings = examine(host);
    for finding in &findings.all {
        assert_ne!(finding["level"], "fail", "{finding:#}");
        let lacking = ["sidecar-privileges", "sidecar-unit", "free-space", "file-systems", "clock"];
        let check = finding["check"].as_str().unwrap();
        assert!(finding["level"] == "ok" || lacking.contains(&check), "{finding:#}");
    }
    assert_ne!(findings.code, Some(2));
}

/// Restores the old state when dropped.
pub struct Mode(PathBuf, u32);

impl Mode {
    pub fn set(path: PathBuf, mode: u32) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let before = std::fs::metadata(&path).unwrap().permissions().mode();
        set_mode(&path, mode);
        Self(path, before)
    }
}

impl Drop for Mode {
    fn drop(&mut self) {
        set_mode(&self.0, self.1 & 0o7777);
    }
}
