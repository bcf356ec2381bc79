//! Decides about every manifest in incoming: claim it with its data file, claim it alone to refuse
//! it, or wait. Pure.
//!
//! Invariant: the same snapshot leads to the same decisions. A wait never exceeds its configured
//! period from now, even if the clock jumps ([`Age`]). Texts for partners quote names escaped.

pub mod judge;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use self::judge::{Judge, Judgement};
use super::claim::{Claim, FileId};
use super::incoming::entry::Entry;
use super::results;
use super::watch::arrivals::{Arrival, Order};
use crate::audit::Upload;
use crate::config::Pairing;
use crate::import_id::ImportId;
use crate::report::{DataType, Failure};

/// The most manifests claimed in one scan. Each costs some syncs, so an account with ten thousand
/// manifests leaves time for other accounts' scans. This also bounds the cost of refusals.
pub const TAKEN_BY_ONE_LOOK: usize = 100;

/// The age from which a change's inotify event has been read, or was before the daemon's start.
const FRESH: Duration = Duration::from_secs(1);

/// The values that could be read from a manifest, for the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// `type`
    pub data_type: Option<DataType>,
    /// `fileName`
    pub data_file: Option<String>,
    /// `clientEmail`
    pub client_email: Option<String>,
}

/// The result of parsing a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every value is valid.
    Valid {
        /// `type`
        data_type: DataType,
        /// `fileName`
        data_file: String,
        /// `clientEmail`
        client_email: String,
    },
    /// A value is invalid, or the upload is incomplete.
    Invalid {
        /// What is wrong and where, joined by `; `.
        findings: String,
        /// The values that could be read.
        known: Known,
    },
}

impl Verdict {
    pub fn known(&self) -> Known {
        match self {
            Self::Invalid { known, .. } => known.clone(),
            Self::Valid { data_type, data_file, client_email } => Known {
                data_type: Some(*data_type),
                data_file: Some(data_file.clone()),
                client_email: Some(client_email.clone()),
            },
        }
    }
}

/// The content of a manifest, as far as the scan could read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Somebody has it open for writing.
    BeingWritten,
    /// It is not a regular file or has several names, and was not opened.
    NotPlain,
    Read(Verdict),
}

/// A manifest in incoming.
#[derive(Clone, Debug)]
pub struct ManifestSeen {
    pub entry: Entry,
    pub content: Content,
    /// How long it has been unchanged.
    pub age: Age,
}

/// The age of a file's last change. The host's clock is read once, at the first scan; afterwards
/// the monotonic clock counts. So if the host's clock jumps while a file waits, the wait neither
/// ends early, which would refuse a good upload, nor lasts for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Age {
    /// The age at the first scan, by the host's clock.
    pub then: Duration,
    /// The time since the first scan.
    pub since: Duration,
}

impl Age {
    /// Returns the age of a change at `ctime`. A change in the future means that the clock was set
    /// back: its age is unknown and counts as zero.
    pub fn by_clock(ctime: Timestamp, now: Timestamp) -> Duration {
        Duration::try_from(now.duration_since(ctime)).unwrap_or(Duration::ZERO)
    }

    /// Returns what is left of `period` since the last change. `None` if it is over.
    pub(super) fn left(self, period: Duration) -> Option<Duration> {
        period.checked_sub(self.then.saturating_add(self.since)).filter(|left| !left.is_zero())
    }
}

/// A snapshot of an account's incoming, with everything that decisions need.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    /// The manifests, in any order.
    pub manifests: Vec<ManifestSeen>,
    /// All other files with usable names, in any order.
    pub files: Vec<Entry>,
    /// The names of data files that somebody has open for writing.
    pub being_written: HashSet<String>,
    /// How long each data file that a manifest names has been unchanged, by name.
    pub ages: HashMap<String, Age>,
    /// The clock tick when the listing began: later changes have at least this ctime.
    pub tick: Timestamp,
    /// The time from the listing until the next clock tick.
    pub next_tick: Duration,
}

/// A manifest to claim, with its data file or alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Take {
    pub manifest: Entry,
    pub known: Known,
    /// Its data file, or why the manifest is refused.
    pub data: Result<Entry, Failure>,
    /// Whether an earlier import had a manifest of this name. That import's answers are kept.
    pub spent: bool,
}

impl Take {
    /// Returns the claim to execute.
    pub fn claim(&self) -> Claim {
        Claim {
            data: self.data.as_ref().ok().map(FileId::of),
            manifest: FileId::of(&self.manifest),
        }
    }

    /// Returns the stem of the answers' names in results/.
    pub fn stem(&self, import: &ImportId) -> String {
        if self.spent { import.to_string() } else { results::stem(&self.manifest.name, import) }
    }
}

/// Why a manifest stays in incoming for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    ManifestBeingWritten,
    /// The upload of the manifest or of its data file may not be finished.
    Settling,
    /// An earlier pair is settling.
    Behind,
    /// The upload of the manifest or of its data file was cut off.
    Cut,
    /// The manifest cannot be parsed and may be incomplete.
    ManifestNotWhole,
    NoDataFile,
    DataFileBeingWritten,
}

/// A manifest that stays in incoming for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The manifest's name.
    pub manifest: String,
    pub reason: Reason,
    /// After this time it is refused if nothing changes. `None` if only a change ends the wait.
    pub at_most: Option<Duration>,
}

/// The decisions of one scan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decisions {
    /// The manifests to claim now, in the order in which they were complete.
    pub take: Vec<Take>,
    /// The manifests that stay, in the same order.
    pub waiting: Vec<Waiting>,
    /// Whether there are more manifests to decide about after these claims.
    pub more: bool,
}

impl Decisions {
    /// Returns how long after the listing to scan again even if nothing happens.
    pub fn look_again_in(&self) -> Option<Duration> {
        self.waiting.iter().filter_map(|waiting| waiting.at_most).min()
    }
}

/// Returns whether the arrival of some manifests is still to be read. The kernel queues the event
/// of a close before a scan can find the closed file.
pub fn order_is_open(sight: &Sight, order: &Order, now: Timestamp) -> bool {
    let is_awaited = |ManifestSeen { entry, .. }: &ManifestSeen| {
        now.duration_since(entry.ctime).unsigned_abs() < FRESH && !order.contains_key(&entry.name)
    };
    sight.manifests.len() > 1 && sight.manifests.iter().any(is_awaited)
}

/// Returns when a manifest was complete: its arrival or, if unknown, its last change.
fn completed(manifest: &Entry, order: &Order) -> Arrival {
    let by_change = Arrival { at: manifest.ctime, place: u64::MAX };
    order.get(&manifest.name).copied().unwrap_or(by_change)
}

/// Decides about the manifests in `sight`, until [`TAKEN_BY_ONE_LOOK`] are to be claimed. `order`
/// has their arrivals. `spent` returns the import that used a manifest name before. `upload`
/// returns what the SFTP server's log shows about a file.
pub fn decide(
    sight: &Sight,
    order: &Order,
    periods: &Pairing,
    spent: impl Fn(&str) -> Option<ImportId>,
    upload: impl Fn(&Entry) -> Upload,
) -> Decisions {
    let mut manifests: Vec<_> = sight.manifests.iter().collect();
    manifests.sort_by_key(|manifest| (completed(&manifest.entry, order), &manifest.entry.name));
    let mut judge = Judge::new(sight, order, periods, &upload);
    let mut decisions = Decisions::default();
    let mut settling = false;
    for manifest in manifests {
        if decisions.take.len() == TAKEN_BY_ONE_LOOK {
            decisions.more = true;
            break;
        }
        let earlier = spent(&manifest.entry.name);
        let wait =
            |reason, at_most| Waiting { manifest: manifest.entry.name.clone(), reason, at_most };
        match judge.manifest(manifest, earlier.as_ref()) {
            Judgement::Wait(reason, at_most) => {
                settling |= reason == Reason::Settling;
                decisions.waiting.push(wait(reason, at_most));
            }
            Judgement::Take(_) if settling => {
                decisions.waiting.push(wait(Reason::Behind, None));
            }
            Judgement::Take(data) => decisions.take.push(Take {
                manifest: manifest.entry.clone(),
                known: match &manifest.content {
                    Content::Read(verdict) => verdict.known(),
                    Content::BeingWritten | Content::NotPlain => Known::default(),
                },
                data,
                spent: earlier.is_some(),
            }),
        }
    }
    decisions
}

#[cfg(test)]
mod tests;
