//! `[accounts]`: the Unix users behind accounts.

use std::ops::RangeInclusive;

use serde::Deserialize;

/// `[accounts]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Accounts {
    /// First Unix user (and group) id for accounts.
    pub first_uid: u32,
    /// Last Unix user (and group) id for accounts.
    pub last_uid: u32,
    /// The group that sshd_config matches.
    pub group: String,
    /// The Unix user that the daemon runs as. It owns incoming, results and the spool.
    pub service_user: String,
}

impl Accounts {
    /// Returns the Unix ids for accounts.
    pub fn uids(&self) -> RangeInclusive<u32> {
        self.first_uid..=self.last_uid
    }
}

impl Default for Accounts {
    fn default() -> Self {
        // Above Debian's static and systemd's dynamic ids, below useradd's subordinate ids.
        Self {
            first_uid: 70_000,
            last_uid: 99_999,
            group: "sftp-import-accounts".into(),
            service_user: "sftp-import".into(),
        }
    }
}
