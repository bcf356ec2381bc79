//! The report: what an import came to, as the partner and every program gets it.
//!
//! Pure data. One object serves `check --json`, `ingest --json`, `results/<stem>.result.json` and
//! a milestone's `data`. A finished report always reconciles: read = accepted + rejected.

#[forbid(unsafe_code)]
pub mod advice;
mod tally;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use tally::{MAX_REJECTIONS, RejectionCount, RejectionTally};

use crate::account::AccountId;
use crate::import_id::ImportId;

/// Event or profile: what a data file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataType {
    /// Things that happened; appended.
    Event,
    /// The users they happened to; merged.
    Profile,
}

impl DataType {
    /// `event` or `profile`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Profile => "profile",
        }
    }
}

/// Where an import is. `queued` and `running` are seen in results/ while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportState {
    /// The row is written, the files are on their way into the spool.
    Claiming,
    /// Claimed, waiting for its turn.
    Queued,
    /// Being read and stored.
    Running,
    /// Ended: at least one record was accepted.
    Completed,
    /// Ended: the file as a whole could not be imported, or every record was rejected.
    Failed,
}

impl ImportState {
    /// The state's word, as in the state database and in JSON.
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

/// The five file-level texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FailureText {
    /// The manifest's data file did not come.
    #[serde(rename = "No data file found")]
    NoDataFile,
    /// The data file is not what it says.
    #[serde(rename = "File couldn't be read")]
    Unreadable,
    /// The manifest is wrong, or does not fit the header.
    #[serde(rename = "Incorrect details in manifest file")]
    Manifest,
    /// The host failed us.
    #[serde(rename = "Internal infra error")]
    Infra,
    /// A bug of ours.
    #[serde(rename = "[Internal error] Error while importing data")]
    Internal,
}

impl FailureText {
    /// The fixed text, verbatim.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoDataFile => "No data file found",
            Self::Unreadable => "File couldn't be read",
            Self::Manifest => "Incorrect details in manifest file",
            Self::Infra => "Internal infra error",
            Self::Internal => "[Internal error] Error while importing data",
        }
    }
}

/// Why a file as a whole was not imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}: {detail}", message.as_str())]
pub struct Failure {
    /// One of the fixed texts.
    pub message: FailureText,
    /// What exactly and where; several findings are joined by `; `.
    pub detail: String,
}

impl Failure {
    /// A failure with `message` and what exactly went wrong.
    pub fn new(message: FailureText, detail: impl fmt::Display) -> Self {
        Self { message, detail: detail.to_string() }
    }
}

/// How many records were read, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Records after the header, empty lines not counted.
    pub read: u64,
    /// Of these, stored (or, in a dry run, fit to be).
    pub accepted: u64,
    /// Of these, in the error file.
    pub rejected: u64,
}

/// How far a running import was at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// When it was so far.
    pub at: Timestamp,
    /// Bytes of the data file that were read, of the report's `bytes`.
    pub bytes_read: u64,
    /// Records a second, since it last began to run.
    pub records_per_second: u64,
    /// When it ends if it goes on like this; none: nobody can tell yet.
    pub estimated_end: Option<Timestamp>,
}

/// What an import came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The import's id; none for `check`, which stores nothing.
    pub import: Option<ImportId>,
    /// The account's id; none for `check`.
    pub account: Option<String>,
    /// Event or profile, where the manifest could be read that far.
    #[serde(rename = "type")]
    pub data_type: Option<DataType>,
    /// The manifest's file name.
    pub manifest: String,
    /// The data file's name, where the manifest could be read that far.
    pub data_file: Option<String>,
    /// Where the import is.
    pub state: ImportState,
    /// While it is queued: which of the account's imports, which run one after the other, it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<u64>,
    /// While it is running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The manifest asked to validate and report, and to store nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Records read, accepted, rejected.
    pub records: Counts,
    /// The data file's size in bytes, as uploaded (before decompression).
    pub bytes: u64,
    /// SHA-256 of the data file as uploaded, lower-case hex; none when it was not read to its end.
    pub sha256: Option<String>,
    /// When the manifest was claimed.
    pub received_at: Timestamp,
    /// When the import began to run.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Why the file as a whole was not imported.
    pub failure: Option<Failure>,
    /// Rejections by text, most frequent first.
    pub rejections: Vec<RejectionCount>,
    /// What is worth knowing but stopped nothing.
    pub warnings: Vec<String>,
    /// The error file's name in results/, when records were rejected.
    pub error_file: Option<String>,
}

impl Report {
    /// A report on nothing yet: `state` queued, no counts.
    pub fn queued(manifest: &str, received_at: Timestamp) -> Self {
        Self {
            import: None,
            account: None,
            data_type: None,
            manifest: manifest.to_owned(),
            data_file: None,
            state: ImportState::Queued,
            place: None,
            progress: None,
            dry_run: false,
            records: Counts::default(),
            bytes: 0,
            sha256: None,
            received_at,
            started_at: None,
            finished_at: None,
            failure: None,
            rejections: Vec::new(),
            warnings: Vec::new(),
            error_file: None,
        }
    }

    /// The same report with its import and account.
    pub fn of(mut self, import: &ImportId, account: &AccountId) -> Self {
        self.import = Some(import.clone());
        self.account = Some(account.to_string());
        self
    }

    /// Whether every record read was accepted and nothing failed.
    pub fn is_clean(&self) -> bool {
        self.failure.is_none() && self.records.rejected == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_text_is_its_json() {
        for text in [
            FailureText::NoDataFile,
            FailureText::Unreadable,
            FailureText::Manifest,
            FailureText::Infra,
            FailureText::Internal,
        ] {
            assert_eq!(serde_json::to_value(text).unwrap(), text.as_str());
        }
    }
}
