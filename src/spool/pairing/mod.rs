//! Decides about every manifest in incoming. A manifest is claimed with its data file, claimed
//! alone to be refused, or left to wait. This module is pure.
//!
//! Invariant: the same snapshot results in the same decisions. A wait never exceeds its configured
//! period from the present time, even if the clock jumps ([`Age`](super::incoming::snapshot::Age)).
//! Texts for partners contain names escaped.

pub mod hints;
pub mod judge;

use std::time::Duration;

use jiff::Timestamp;

use self::judge::{Judge, Judgement, WaitReason};
use super::claim::Claim;
use super::claim::file::FileId;
use super::incoming::entry::DirEntry;
use super::incoming::snapshot::{ListedManifest, ManifestContent, ManifestValues, Snapshot};
use super::results;
use super::watch::arrivals::{Arrival, ArrivalOrder};
use crate::audit::UploadState;
use crate::config::{Pairing, ReusedManifest};
use crate::import_id::ImportId;
use crate::report::Failure;

/// The maximum number of manifests claimed in one scan. Each claim costs some syncs. With this
/// limit, an account with ten thousand manifests leaves time for the scans of other accounts. The
/// limit also bounds the cost of refusals.
pub const MAX_CLAIMS_PER_SCAN: usize = 100;

/// The minimum age of a change after which its inotify event has been read, or the change preceded
/// the start of the daemon.
const EVENT_DELAY: Duration = Duration::from_secs(1);

/// A manifest that is claimed, either with its data file or alone.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedClaim {
    pub manifest: DirEntry,
    pub values: ManifestValues,
    /// The data file of the manifest, or the reason why the manifest is refused.
    pub data: Result<DirEntry, Failure>,
}

impl PlannedClaim {
    /// Returns the claim that is executed for the manifest.
    pub fn claim(&self) -> Claim {
        Claim {
            data: self.data.as_ref().ok().map(FileId::of),
            manifest: FileId::of(&self.manifest),
        }
    }

    /// Returns the stem of the names of the answers in results/.
    pub fn stem(&self, import: &ImportId) -> String {
        results::stem(&self.manifest.name, import)
    }
}

/// A manifest that stays in incoming until a later scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingManifest {
    /// The name of the waiting manifest.
    pub manifest: String,
    pub reason: WaitReason,
    /// The time after which the manifest is refused if it and its data file do not change. `None`
    /// if only a change can end the wait.
    pub at_most: Option<Duration>,
}

/// The decisions about the manifests of one scan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decisions {
    /// The manifests that are claimed now, in the order in which they were complete.
    pub claims: Vec<PlannedClaim>,
    /// The manifests that stay in incoming, in the order in which they were complete.
    pub waiting: Vec<WaitingManifest>,
    /// Whether there are more manifests for which no decision was made yet.
    pub more: bool,
}

impl Decisions {
    /// Returns the time from the listing to the next scan. An inotify event can cause an earlier
    /// scan.
    pub fn rescan_in(&self) -> Option<Duration> {
        self.waiting.iter().filter_map(|waiting| waiting.at_most).min()
    }
}

/// Returns whether the arrivals of some manifests were not read yet. The kernel queues the event
/// of a close before a scan can find the closed file.
pub fn is_arrival_pending(snapshot: &Snapshot, order: &ArrivalOrder, now: Timestamp) -> bool {
    let is_awaited = |ListedManifest { entry, .. }: &ListedManifest| {
        now.duration_since(entry.ctime).unsigned_abs() < EVENT_DELAY
            && entry.is_manifest()
            && !order.contains_key(&entry.name)
    };
    snapshot.manifests.len() > 1 && snapshot.manifests.iter().any(is_awaited)
}

/// Returns the time at which a manifest was complete: its arrival, or its last change if the
/// arrival is unknown.
fn completed(manifest: &DirEntry, order: &ArrivalOrder) -> Arrival {
    let by_change = Arrival { at: manifest.ctime, place: u64::MAX };
    order.get(&manifest.name).copied().unwrap_or(by_change)
}

/// Decides about the manifests in `snapshot`, until [`MAX_CLAIMS_PER_SCAN`] claims are reached.
/// `order` has the arrivals of the manifests. `spent` returns the import that used a manifest name
/// before. `upload` returns the log's facts about the upload of a file.
pub fn decide(
    snapshot: &Snapshot,
    order: &ArrivalOrder,
    periods: &Pairing,
    spent: impl Fn(&str) -> Option<ImportId>,
    upload: impl Fn(&DirEntry) -> UploadState,
) -> Decisions {
    let mut manifests: Vec<_> = snapshot.manifests.iter().collect();
    manifests.sort_by_key(|manifest| (completed(&manifest.entry, order), &manifest.entry.name));
    let mut judge = Judge::new(snapshot, order, periods, &upload);
    let mut decisions = Decisions::default();
    let mut settling = false;
    for manifest in manifests {
        if decisions.claims.len() == MAX_CLAIMS_PER_SCAN {
            decisions.more = true;
            break;
        }
        let earlier = match periods.reused_manifest {
            ReusedManifest::Refuse => spent(&manifest.entry.name),
            ReusedManifest::Accept => None,
        };
        let wait = |reason, at_most| WaitingManifest {
            manifest: manifest.entry.name.clone(),
            reason,
            at_most,
        };
        match judge.manifest(manifest, earlier.as_ref()) {
            Judgement::Wait(reason, at_most) => {
                settling |= reason == WaitReason::Settling;
                judge.is_behind = settling;
                decisions.waiting.push(wait(reason, at_most));
            }
            Judgement::Claim(_) if settling => {
                decisions.waiting.push(wait(WaitReason::Behind, None));
            }
            Judgement::Claim(data) => decisions.claims.push(PlannedClaim {
                manifest: manifest.entry.clone(),
                values: match &manifest.content {
                    ManifestContent::Read(parsed) => parsed.values(),
                    ManifestContent::BeingWritten | ManifestContent::NotPlain => {
                        ManifestValues::default()
                    }
                },
                data,
            }),
        }
    }
    decisions
}

#[cfg(test)]
mod tests;
