//! [`Finding`]: the result of a check, with the log line that the fault causes and the fix.

use serde::Serialize;

use crate::account::AccountId;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    /// Uploads still work, or work only in part.
    Warn,
    /// Uploads or answers are affected by the fault.
    Fail,
}

/// The checks by group, in the order in which an upload passes the checked parts. Findings are
/// printed under the title of their group.
const GROUPS: &[(&str, &[&str])] = &[
    ("sshd", &["sshd-config", "sshd-drop-in", "sshd-access"]),
    ("the keys helper", &["helper-program", "keys-folder", "helper-answer"]),
    (
        "accounts",
        &[
            "account-user",
            "account-group",
            "account-keys",
            "account-chroot",
            "account-folders",
            "account-audit",
            "account-recipients",
        ],
    ),
    ("storage", &["file-systems", "leases", "free-space", "watches"]),
    ("the daemon", &["sidecar-running", "sidecar-privileges", "sidecar-unit", "login-audit"]),
    (
        "databases",
        &["state-database", "registry", "published-keys", "imports-waiting", "incoming-full"],
    ),
    ("mail and webhooks", &["mail", "webhooks", "deliveries"]),
    ("the host", &["clock", "mandatory-access"]),
];

/// Returns the names of all checks, as in docs/troubleshooting.md, in the order of the report.
pub fn check_names() -> impl Iterator<Item = &'static str> {
    GROUPS.iter().flat_map(|(_, names)| names.iter().copied())
}

/// The result of one of doctor's checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's name, one of [`check_names`].
    pub check: &'static str,
    pub level: Level,
    /// The account that the finding is about. `None` if the finding is not about one account.
    pub account: Option<String>,
    pub message: String,
    /// The log line that the fault causes, without the parts that vary.
    pub log: Option<String>,
    /// Commands that fix the fault, or instructions if no command fixes it.
    pub fix: Option<String>,
}

impl Finding {
    pub(super) fn new(check: &'static str, level: Level, message: impl Into<String>) -> Self {
        Self { check, level, account: None, message: message.into(), log: None, fix: None }
    }

    pub(super) fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Level::Ok, message)
    }

    pub(super) fn warn(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Level::Warn, message)
    }

    pub(super) fn fail(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Level::Fail, message)
    }

    /// Returns `faults`. Without faults, returns one finding that `check` passes.
    pub(super) fn faults_or_ok(
        faults: impl IntoIterator<Item = Self>,
        check: &'static str,
        message: impl Into<String>,
    ) -> Vec<Self> {
        let mut faults = faults.into_iter().peekable();
        match faults.peek() {
            Some(_) => faults.collect(),
            None => vec![Self::ok(check, message)],
        }
    }

    /// Sets the account that the finding is about.
    #[must_use]
    pub(super) fn of(mut self, account: &AccountId) -> Self {
        self.account = Some(account.to_string());
        self
    }

    /// Sets the log line that the fault causes.
    #[must_use]
    pub(super) fn log(mut self, log: impl Into<String>) -> Self {
        self.log = Some(log.into());
        self
    }

    #[must_use]
    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// Returns the title of the group of the finding's check.
    pub fn group(&self) -> Option<&'static str> {
        GROUPS.iter().find(|(_, names)| names.contains(&self.check)).map(|(title, _)| *title)
    }
}
