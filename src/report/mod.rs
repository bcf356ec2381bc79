//! The report on an import, for partners and for programs.
//!
//! `check --json`, `ingest --json`, `results/<stem>.result.json` and the `data` of a milestone all
//! contain the report. Invariant of a finished report: read = accepted + rejected.

mod tally;
mod ts_range;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use tally::{MAX_REJECTIONS, RejectionCount, RejectionTally};
pub use ts_range::TsRange;

use crate::account::AccountId;
use crate::import_id::ImportId;

/// The kind of records in a data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataType {
    /// The data file has records of actions. They are appended to the store.
    Event,
    /// The data file has records of users. They are merged into the users' profiles.
    Profile,
}

impl DataType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Profile => "profile",
        }
    }
}

impl FromStr for DataType {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let types = [Self::Event, Self::Profile];
        types
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or("the type must be event or profile")
    }
}

/// The state of an import. The result file in results/ has the state `queued` or `running` until
/// the import ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportState {
    /// The import is in the state database, and its files are being moved into the spool.
    Claiming,
    /// The import was claimed and waits until it can run.
    #[default]
    Queued,
    /// The data file of the import is being read and stored.
    Running,
    /// The import ended, and at least one record was accepted.
    Completed,
    /// The import ended: the whole file could not be imported, or every record was rejected.
    Failed,
}

impl ImportState {
    /// Returns the word for the state in the state database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Claiming => "claiming",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// The five fixed texts of failures, for a file that could not be imported at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FailureText {
    /// The data file of the manifest did not arrive.
    #[serde(rename = "No data file found")]
    NoDataFile,
    /// The data file is not a CSV file that can be read within the limits.
    #[serde(rename = "File couldn't be read")]
    Unreadable,
    /// The manifest is wrong, or does not fit the header.
    #[serde(rename = "Incorrect details in manifest file")]
    Manifest,
    /// The host failed, for example because of a full disk, an I/O error or an unreachable store.
    #[serde(rename = "Internal infra error")]
    Infra,
    /// The import failed because of a bug in sftp-import.
    #[serde(rename = "[Internal error] Error while importing data")]
    Internal,
}

impl FailureText {
    pub const ALL: [Self; 5] =
        [Self::NoDataFile, Self::Unreadable, Self::Manifest, Self::Infra, Self::Internal];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoDataFile => "No data file found",
            Self::Unreadable => "File couldn't be read",
            Self::Manifest => "Incorrect details in manifest file",
            Self::Infra => "Internal infra error",
            Self::Internal => "[Internal error] Error while importing data",
        }
    }

    /// Returns the advice for a file that failed with the text `self`.
    pub fn advice(self) -> &'static str {
        match self {
            Self::NoDataFile => {
                "The data file must be in the manifest's folder, named exactly as in fileName."
            }
            Self::Unreadable => {
                "Fix the data file: CSV with a header line, named .csv, .csv.gz or .csv.zst."
            }
            Self::Manifest => {
                "Fix the manifest, or the data file's header where the two do not fit."
            }
            Self::Infra | Self::Internal => "The fault is not in your files.",
        }
    }
}

/// The reason why a file could not be imported at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}: {detail}", message.as_str())]
pub struct Failure {
    pub message: FailureText,
    /// The exact findings with their positions in the file, joined by `; `.
    pub detail: String,
}

impl Failure {
    pub fn new(message: FailureText, detail: impl fmt::Display) -> Self {
        Self { message, detail: detail.to_string() }
    }

    /// Returns the failure of a data file that cannot be read.
    pub fn unreadable(detail: impl fmt::Display) -> Self {
        Self::new(FailureText::Unreadable, detail)
    }
}

/// The numbers of records that were read, accepted and rejected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// The number of records in the data file. The header and empty lines do not count.
    pub read: u64,
    /// The number of records that were stored, or that are valid in a dry run.
    pub accepted: u64,
    /// The number of records in the error file.
    pub rejected: u64,
}

/// The progress of an import that is running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The time at which the progress was measured.
    pub at: Timestamp,
    /// The number of bytes of the data file that were read until now. The total is `bytes` in the
    /// report.
    pub bytes_read: u64,
    /// The average number of records that were read per second since the latest start of the
    /// import.
    pub records_per_second: u64,
    /// The estimated end of the import at the present rate. `None` if there is no estimate yet.
    pub estimated_end: Option<Timestamp>,
}

/// The report on an import.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The id of the import. `None` for the command `check`, which stores nothing.
    pub import: Option<ImportId>,
    /// The account that uploaded the file. `None` for the command `check`.
    pub account: Option<String>,
    /// The kind of records in the data file. `None` if the manifest has no valid `type`.
    #[serde(rename = "type")]
    pub data_type: Option<DataType>,
    /// The file name of the manifest.
    pub manifest: String,
    /// The name of the data file. `None` if the manifest has no valid `fileName`.
    pub data_file: Option<String>,
    pub state: ImportState,
    /// The position of the import in the account's queue. The imports of an account run one after
    /// the other. `None` unless the import is queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<u64>,
    /// The progress of the import. `None` unless the import is running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Whether the manifest requested a dry run: the file is checked and reported, but not stored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    pub records: Counts,
    /// The earliest `ts` of the accepted events. `None` for profiles, or if no event was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_ts: Option<Timestamp>,
    /// The latest `ts` of the accepted events. `None` for profiles, or if no event was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ts: Option<Timestamp>,
    /// The size of the data file as uploaded, in bytes. The file may be compressed.
    pub bytes: u64,
    /// The SHA-256 of the data file as uploaded, in lower-case hex. `None` if the end of the file
    /// was not reached.
    pub sha256: Option<String>,
    /// The time at which the files of the import were claimed.
    pub received_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// The failure of the import. `None` if the file could be imported.
    pub failure: Option<Failure>,
    /// The number of rejections for each text, the most frequent text first.
    pub rejections: Vec<RejectionCount>,
    /// Findings about the data file that did not stop the import.
    pub warnings: Vec<String>,
    /// The name of the error file in results/. `None` if no record was rejected.
    pub error_file: Option<String>,
}

impl Report {
    /// Returns the report on a queued import. This report has no counts yet.
    pub fn queued(manifest: &str, received_at: Timestamp) -> Self {
        Self { manifest: manifest.to_owned(), received_at, ..Self::default() }
    }

    /// Returns the report after its import id and its account were set.
    pub fn of(mut self, import: &ImportId, account: &AccountId) -> Self {
        self.import = Some(import.clone());
        self.account = Some(account.to_string());
        self
    }

    /// Returns whether the import had no failure and no rejected record.
    pub fn is_clean(&self) -> bool {
        self.failure.is_none() && self.records.rejected == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_serialized_as_their_texts() {
        for text in FailureText::ALL {
            assert_eq!(serde_json::to_value(text).unwrap(), text.as_str());
        }
    }
}
