//! Runs `sftp-import doctor` on a test host, and compares its findings with the log of sshd.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::account::Account;
use crate::support::host::{Host, SOON, set_mode, text};
use crate::support::process::{Ran, run, until};

/// Returns the options that make doctor check the sshd of this host.
pub fn arguments(host: &Host) -> [String; 5] {
    let sshd_config = host.root.join("ssh/sshd_config");
    ["doctor", "--json", "--from=127.0.0.1", "--sshd-config", text(&sshd_config)].map(String::from)
}

/// Runs doctor. Returns its findings and its exit status.
#[track_caller]
pub fn examine(host: &Host) -> Findings {
    let arguments = arguments(host);
    Findings::of(&host.cli(&arguments.each_ref().map(String::as_str)))
}

/// Runs `script` and then doctor in a mount namespace that ends with doctor. Returns the findings
/// and the exit status.
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

    /// Returns the worst finding of `check` in the form `level: message`.
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
        of_check
            .min_by_key(level)
            .unwrap_or_else(|| panic!("no finding of {check}: {:#?}", self.all))
    }

    /// Checks that `check` has failed with `message` and a fix. Returns the words that the log must
    /// contain.
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

/// Starts a session, which may fail, and waits until sshd logs `words`.
#[track_caller]
pub fn expect_in_sshd_log(account: &Account<'_>, words: &str) -> Ran {
    let before = account.host.sshd_log().len();
    let ran = account.sftp("pwd\n");
    until(&format!("sshd to log {words:?}"), SOON, || {
        account.host.sshd_log()[before..].contains(words).then_some(())
    });
    ran
}

/// Checks that no check fails. A test host can't avoid some warnings.
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

/// A mode of a file. The previous mode is restored on drop.
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
