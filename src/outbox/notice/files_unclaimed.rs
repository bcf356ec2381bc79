//! [`FilesUnclaimed`]: the notice to an account's contact that no manifest names some data files.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::enqueue_mail;
use crate::account::AccountId;
use crate::state::{self, Transaction};

/// The type of the notice about unclaimed files. It is stored in the same column as the types of
/// milestones.
pub const KIND: &str = "file.unclaimed";

/// The maximum number of files that a notice names. For the other files, the notice gives only
/// their number.
const NAMED: usize = 20;

/// The data of the notice about unclaimed files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FilesUnclaimed {
    pub account: String,
    /// The age in seconds at which a file counts as unclaimed.
    pub after_seconds: u64,
    pub files: Vec<UnclaimedFile>,
    /// The number of unclaimed files that are not in `files`.
    pub more: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnclaimedFile {
    pub name: String,
    pub bytes: u64,
    pub since: Timestamp,
}

impl FilesUnclaimed {
    /// Makes a notice about unclaimed files. Each of `files` has a name, a size in bytes and the
    /// time of the last change. `after` is the age at which a file counts as unclaimed.
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

/// Writes the notice about unclaimed files and its delivery to `contact`, in the transaction of
/// the caller.
pub fn enqueue_unclaimed(
    tx: &Transaction<'_>,
    at: Timestamp,
    account: &AccountId,
    contact: &str,
    notice: &FilesUnclaimed,
) -> state::Result<()> {
    enqueue_mail(tx, at, account, contact, KIND, notice)
}
