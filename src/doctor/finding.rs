//! [`Finding`]: the result of a check, with what a log shows of the fault and how to fix it.

use serde::Serialize;

use crate::account::AccountId;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    /// It works today, or only in part.
    Warn,
    /// Uploads or answers are affected.
    Fail,
}

/// A group of checks. Findings are printed under its title.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    Sshd,
    Helper,
    Accounts,
    Storage,
    Sidecar,
    Databases,
    Notices,
    Host,
}

impl Group {
    pub fn title(self) -> &'static str {
        match self {
            Self::Sshd => "sshd",
            Self::Helper => "the keys helper",
            Self::Accounts => "accounts",
            Self::Storage => "storage",
            Self::Sidecar => "the daemon",
            Self::Databases => "databases",
            Self::Notices => "mail and webhooks",
            Self::Host => "the host",
        }
    }
}

/// The name and the group of a check.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// The name that docs/troubleshooting.md uses.
    pub name: &'static str,
    pub group: Group,
}

const fn check(name: &'static str, group: Group) -> Check {
    Check { name, group }
}

/// Every check, in the order in which an upload passes what they check.
pub const CHECKS: &[Check] = &[
    check("sshd-config", Group::Sshd),
    check("sshd-drop-in", Group::Sshd),
    check("sshd-access", Group::Sshd),
    check("helper-program", Group::Helper),
    check("keys-folder", Group::Helper),
    check("helper-answer", Group::Helper),
    check("account-user", Group::Accounts),
    check("account-group", Group::Accounts),
    check("account-keys", Group::Accounts),
    check("account-chroot", Group::Accounts),
    check("account-folders", Group::Accounts),
    check("account-audit", Group::Accounts),
    check("account-recipients", Group::Accounts),
    check("file-systems", Group::Storage),
    check("leases", Group::Storage),
    check("free-space", Group::Storage),
    check("watches", Group::Storage),
    check("sidecar-running", Group::Sidecar),
    check("sidecar-privileges", Group::Sidecar),
    check("sidecar-unit", Group::Sidecar),
    check("login-audit", Group::Sidecar),
    check("state-database", Group::Databases),
    check("registry", Group::Databases),
    check("published-keys", Group::Databases),
    check("imports-waiting", Group::Databases),
    check("incoming-full", Group::Databases),
    check("mail", Group::Notices),
    check("webhooks", Group::Notices),
    check("deliveries", Group::Notices),
    check("clock", Group::Host),
    check("mandatory-access", Group::Host),
];

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's name, one of [`CHECKS`].
    pub check: &'static str,
    pub level: Level,
    /// The account, if the finding is about one.
    pub account: Option<String>,
    pub message: String,
    /// What a log shows when the fault has an effect, without the parts that vary.
    pub log: Option<String>,
    /// Commands that fix the fault, or words if no command does.
    pub fix: Option<String>,
}

impl Finding {
    fn new(check: &'static str, level: Level, message: impl Into<String>) -> Self {
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

    /// Sets the account that the finding is about.
    #[must_use]
    pub(super) fn of(mut self, account: &AccountId) -> Self {
        self.account = Some(account.to_string());
        self
    }

    /// Sets what a log shows of the fault.
    #[must_use]
    pub(super) fn log(mut self, log: impl Into<String>) -> Self {
        self.log = Some(log.into());
        self
    }

    /// Sets the fix.
    #[must_use]
    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// Returns the group of its check.
    pub fn group(&self) -> Option<Group> {
        CHECKS.iter().find(|check| check.name == self.check).map(|check| check.group)
    }
}
