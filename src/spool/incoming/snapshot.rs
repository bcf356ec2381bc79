//! [`Snapshot`]: the state of an account's incoming during one scan. This module is pure.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use super::entry::DirEntry;
use crate::report::DataType;

/// The values of a manifest that could be read. The answer to an invalid manifest needs them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ManifestValues {
    /// The value of `type`.
    pub data_type: Option<DataType>,
    /// The value of `fileName`.
    pub data_file: Option<String>,
    /// The value of `clientEmail`.
    pub client_email: Option<String>,
}

/// The result of parsing a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParsedManifest {
    /// All values are valid.
    Valid {
        /// The value of `type`.
        data_type: DataType,
        /// The value of `fileName`.
        data_file: String,
        /// The value of `clientEmail`.
        client_email: String,
    },
    /// A value is invalid, or the upload is incomplete.
    Invalid {
        /// The findings, each with its place, joined by `; `.
        findings: String,
        /// The values that could be read.
        values: ManifestValues,
    },
    /// A manifest whose name does not end in `.manifest`.
    Misnamed {
        /// Advice on the correct name, and all other findings.
        findings: String,
        values: ManifestValues,
    },
    /// A file whose name and content do not belong to a manifest.
    Foreign,
}

impl ParsedManifest {
    pub fn values(&self) -> ManifestValues {
        match self {
            Self::Invalid { values, .. } | Self::Misnamed { values, .. } => values.clone(),
            Self::Foreign => ManifestValues::default(),
            Self::Valid { data_type, data_file, client_email } => ManifestValues {
                data_type: Some(*data_type),
                data_file: Some(data_file.clone()),
                client_email: Some(client_email.clone()),
            },
        }
    }
}

/// The content of a manifest, or the reason why it was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestContent {
    /// A process has the manifest open for writing.
    BeingWritten,
    /// The manifest was not opened, because it is not a regular file or has several names.
    NotPlain,
    Read(ParsedManifest),
}

/// A manifest in incoming.
#[derive(Clone, Debug)]
pub struct ListedManifest {
    pub entry: DirEntry,
    pub content: ManifestContent,
    /// The time for which the manifest has been unchanged.
    pub age: Age,
}

impl ListedManifest {
    /// Returns the data file's name in a valid manifest.
    pub fn data_file(&self) -> Option<&str> {
        match &self.content {
            ManifestContent::Read(ParsedManifest::Valid { data_file, .. }) => Some(data_file),
            _ => None,
        }
    }
}

/// The age of a file's last change. The host's clock is read only at the first scan. Afterwards the
/// age grows with the monotonic clock. Therefore a jump of the host's clock neither ends a wait too
/// early, which would refuse a good upload, nor makes the wait endless.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Age {
    /// The age at the first scan, by the host's clock.
    pub then: Duration,
    /// The time since the first scan.
    pub since: Duration,
}

impl Age {
    /// Returns the age of a change at `ctime`. A time in the future means that the clock was set
    /// back. The age is then unknown and counts as zero.
    pub fn by_clock(ctime: Timestamp, now: Timestamp) -> Duration {
        Duration::try_from(now.duration_since(ctime)).unwrap_or(Duration::ZERO)
    }

    /// Returns the part of `period` that remains since the last change. `None` if the period is
    /// over.
    pub fn left(self, period: Duration) -> Option<Duration> {
        period.checked_sub(self.then.saturating_add(self.since)).filter(|left| !left.is_zero())
    }
}

/// A data file that is uploaded under a temporary name.
#[derive(Clone, Debug)]
pub struct ArrivingFile {
    /// The name in incoming. It may be hidden.
    pub name: String,
    /// Whether a process has the file open for writing.
    pub is_open: bool,
    /// The time for which the file has been closed and unchanged.
    pub age: Age,
}

impl ArrivingFile {
    /// Returns whether a pair must wait longer for this file than for `other`.
    pub fn is_later_than(&self, other: &Self) -> bool {
        let total = |file: &Self| file.age.then.saturating_add(file.age.since);
        (self.is_open, std::cmp::Reverse(total(self)))
            > (other.is_open, std::cmp::Reverse(total(other)))
    }
}

/// A snapshot of an account's incoming, with everything that decisions need.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The manifests, in any order.
    pub manifests: Vec<ListedManifest>,
    /// All other files with usable names, in any order.
    pub files: Vec<DirEntry>,
    /// The names of the data files that a process has open for writing.
    pub being_written: HashSet<String>,
    /// Uploads under temporary names, by the name of the missing data file.
    pub arriving: HashMap<String, ArrivingFile>,
    /// How long each data file that a manifest names has been unchanged, by its name in incoming.
    pub ages: HashMap<String, Age>,
    /// The clock tick at the start of the listing. Every later change has at least this ctime.
    pub tick: Timestamp,
    /// The time from the listing until the next clock tick.
    pub next_tick: Duration,
}
