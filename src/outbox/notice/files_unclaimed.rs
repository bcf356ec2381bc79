//! [`FilesUnclaimed`]: tells an account's contact by mail of data files that no manifest claimed.
//!
//! As a disabled endpoint's notice it is no milestone of an import, but travels as one does.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::account::AccountId;
use crate::state;
use crate::state::Transaction;

/// The notice's type, beside those of the milestones.
pub const KIND: &str = "file.unclaimed";

/// How many files a notice names; the others it counts.
const NAMED: usize = 20;

/// What there is to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FilesUnclaimed {
    pub account: String,
    /// After how many seconds a file counts as unclaimed.
    pub after_seconds: u64,
    pub files: Vec<UnclaimedFile>,
    /// How many more there are.
    pub more: u64,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnclaimedFile {
    pub name: String,
    pub bytes: u64,
    pub since: Timestamp,
}

impl FilesUnclaimed {
    /// Of `account`: files by name, size in bytes and last change, unclaimed for `after`.
    pub fn new<'a>(
        account: &AccountId,
        after: Duration,
        files: impl ExactSizeIterator<Item = (&'a str, u64, Timestamp)>,
    ) -> Self {
        let more = files.len().saturating_sub(NAMED) as u64;
        let file = |(name, bytes, since): (&str, _, _)| UnclaimedFile {
            name: name.to_owned(),
            bytes,
            since,
        };
        Self {
            account: account.to_string(),
            after_seconds: after.as_secs(),
            files: files.take(NAMED).map(file).collect(),
            more,
        }
    }
}

/// Writes the notice and its delivery to `contact`, in the caller's transaction.
pub fn enqueue_unclaimed(
    tx: &Transaction<'_>,
    at: Timestamp,
    account: &AccountId,
    contact: &str,
    told: &FilesUnclaimed,
) -> state::Result<()> {
    super::mail_to(tx, at, account, contact, KIND, told)
}
