//! `[accounts]`: the Unix users of accounts.

use std::ops::RangeInclusive;

use serde::Deserialize;

/// The section `[accounts]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Accounts {
    /// The first id for the Unix users and groups of accounts.
    pub first_uid: u32,
    /// The last id for the Unix users and groups of accounts.
    pub last_uid: u32,
    /// The name of the group that sshd_config matches.
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
        // The range is above Debian's static ids and systemd's dynamic ids, and below useradd's
        // subordinate ids.
        Self {
            first_uid: 70_000,
            last_uid: 99_999,
            group: "sftp-import-accounts".into(),
            service_user: "sftp-import".into(),
        }
    }
}
