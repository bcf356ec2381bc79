//! The section `[accounts]` of the configuration file sets the Unix users of accounts.

use std::ops::RangeInclusive;

use serde::Deserialize;

/// The section `[accounts]` of the configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Accounts {
    /// The lowest id for the Unix users and groups of accounts.
    pub first_uid: u32,
    /// The highest id for the Unix users and groups of accounts.
    pub last_uid: u32,
    /// The Unix group of all accounts. The drop-in for sshd matches this group.
    pub group: String,
    /// The name of the Unix user that runs the daemon. This user owns incoming, results and the
    /// spool.
    pub service_user: String,
}

impl Accounts {
    /// Returns the range of ids for the Unix users of accounts.
    pub fn uids(&self) -> RangeInclusive<u32> {
        self.first_uid..=self.last_uid
    }
}

impl Default for Accounts {
    fn default() -> Self {
        // This range of ids is above Debian's static ids and systemd's dynamic ids, and below
        // useradd's subordinate ids.
        Self {
            first_uid: 70_000,
            last_uid: 99_999,
            group: "sftp-import-accounts".into(),
            service_user: "sftp-import".into(),
        }
    }
}
