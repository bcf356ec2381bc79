//! [`Snapshot`]: the state of an account's incoming during one scan. This module is pure.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use super::entry::DirEntry;
use crate::report::DataType;

/// The valid values of a manifest. The answer to an invalid manifest needs them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ManifestValues {
    /// The value of the key `type` in the manifest. `None` if the value is not valid.
    pub data_type: Option<DataType>,
    /// The value of the key `fileName` in the manifest. `None` if the value is not valid.
    pub data_file: Option<String>,
    /// The value of the key `clientEmail` in the manifest. `None` if the value is not valid.
    pub client_email: Option<String>,
}

/// The result of parsing a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParsedManifest {
    /// All values of the manifest are valid.
    Valid {
        /// The value of the key `type` in the manifest.
        data_type: DataType,
        /// The value of the key `fileName` in the manifest.
        data_file: String,
        /// The value of the key `clientEmail` in the manifest.
        client_email: String,
    },
    /// The manifest has an invalid value, or its upload is incomplete.
    Invalid {
        /// The findings about the manifest, joined by `; `. Each finding has its position in the
        /// manifest.
        findings: String,
        /// The values of the manifest that are valid.
        values: ManifestValues,
    },
    /// The file is a manifest, but its name does not end in `.manifest`.
    Misnamed {
        /// The advice on the correct name of the manifest, and all other findings.
        findings: String,
        values: ManifestValues,
    },
    /// The file is not a manifest, according to its name and its content.
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

/// A manifest that is in incoming.
#[derive(Clone, Debug)]
pub struct ListedManifest {
    pub entry: DirEntry,
    pub content: ManifestContent,
    /// The time for which the manifest has been unchanged.
    pub age: Age,
}

impl ListedManifest {
    /// Returns the name of the data file that a valid manifest names.
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
    /// The age of the file at its first scan, by the host's clock.
    pub then: Duration,
    /// The time since the first scan of the file.
    pub since: Duration,
}

impl Age {
    /// Returns the age of a change at `ctime`. A time in the future means that the clock was set
    /// back. The age is then unknown and counts as zero.
    pub fn by_clock(ctime: Timestamp, now: Timestamp) -> Duration {
        Duration::try_from(now.duration_since(ctime)).unwrap_or(Duration::ZERO)
    }

    /// Returns the part of `period` that remains after the last change of the file. Returns `None`
    /// if the period is over.
    pub fn left(self, period: Duration) -> Option<Duration> {
        period.checked_sub(self.then.saturating_add(self.since)).filter(|left| !left.is_zero())
    }
}

/// A data file that a client uploads under a temporary name.
#[derive(Clone, Debug)]
pub struct ArrivingFile {
    /// The temporary name of the data file in incoming. It may be hidden.
    pub name: String,
    /// Whether a process has the data file open for writing.
    pub is_open: bool,
    /// The time for which the data file has been closed and unchanged.
    pub age: Age,
}

impl ArrivingFile {
    /// Returns whether a pair must wait longer for this data file than for `other`.
    pub fn is_later_than(&self, other: &Self) -> bool {
        let total = |file: &Self| file.age.then.saturating_add(file.age.since);
        (self.is_open, std::cmp::Reverse(total(self)))
            > (other.is_open, std::cmp::Reverse(total(other)))
    }
}

/// The state of an account's incoming at one time. It has all facts that the decisions about
/// manifests need.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The manifests in incoming. They have no particular order.
    pub manifests: Vec<ListedManifest>,
    /// The files in incoming that have usable names and are not manifests. They have no particular
    /// order.
    pub files: Vec<DirEntry>,
    /// The names of the data files in incoming that a process has open for writing.
    pub being_written: HashSet<String>,
    /// The data files that are being uploaded under temporary names. The key of each file is its
    /// final name.
    pub arriving: HashMap<String, ArrivingFile>,
    /// The time for which each data file that a manifest names has been unchanged. The key is the
    /// name of the file in incoming.
    pub ages: HashMap<String, Age>,
    /// The clock tick at the start of the listing. A later change has at least this time as its
    /// ctime.
    pub tick: Timestamp,
    /// The time between the listing and the next clock tick.
    pub next_tick: Duration,
}
