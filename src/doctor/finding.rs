//! What a check says: how bad, about what, what sshd's log shows then, and how to mend it.

use serde::Serialize;

use crate::account::AccountId;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It holds.
    Ok,
    /// It holds today, or only in part.
    Warn,
    /// It doesn't hold: uploads or answers suffer.
    Fail,
}

/// What a check belongs to; people see findings under these heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// How sshd lets accounts in.
    Sshd,
    /// The helper that sshd asks for keys.
    Helper,
    /// Unix users and folders of accounts.
    Accounts,
    /// Disks and file systems.
    Storage,
    /// The sidecar.
    Sidecar,
    /// What the sidecar and the helper keep.
    Databases,
    /// Mail and webhooks.
    Notices,
    /// The machine.
    Host,
}

impl Group {
    /// The head that people see.
    pub fn title(self) -> &'static str {
        match self {
            Self::Sshd => "sshd",
            Self::Helper => "the keys helper",
            Self::Accounts => "accounts",
            Self::Storage => "storage",
            Self::Sidecar => "the sidecar",
            Self::Databases => "databases",
            Self::Notices => "mail and webhooks",
            Self::Host => "the host",
        }
    }
}

/// A check there is.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Its name, as in docs/troubleshooting.md.
    pub name: &'static str,
    /// What it belongs to.
    pub group: Group,
}

const fn check(name: &'static str, group: Group) -> Check {
    Check { name, group }
}

/// Every check, in the order of an upload's way.
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

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's name, one of [`CHECKS`].
    pub check: &'static str,
    /// How it ended.
    pub level: Level,
    /// Which account it is about, if about one.
    pub account: Option<String>,
    /// What was found.
    pub message: String,
    /// What a log shows when the fault bites, without what differs from case to case.
    pub log: Option<String>,
    /// What to do about it: commands, or words where no command does it.
    pub fix: Option<String>,
}

impl Finding {
    fn new(check: &'static str, level: Level, message: impl Into<String>) -> Self {
        Self { check, level, account: None, message: message.into(), log: None, fix: None }
    }

    /// It holds.
    pub(super) fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Level::Ok, message)
    }

    /// It holds today, or in part.
    pub(super) fn warn(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Level::Warn, message)
    }

    /// It doesn't hold.
    pub(super) fn fail(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Level::Fail, message)
    }

    /// The same about `account`.
    #[must_use]
    pub(super) fn of(mut self, account: &AccountId) -> Self {
        self.account = Some(account.to_string());
        self
    }

    /// The same with what a log shows then.
    #[must_use]
    pub(super) fn log(mut self, log: impl Into<String>) -> Self {
        self.log = Some(log.into());
        self
    }

    /// The same with what to do.
    #[must_use]
    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// What its check belongs to.
    pub fn group(&self) -> Option<Group> {
        CHECKS.iter().find(|check| check.name == self.check).map(|check| check.group)
    }
}
