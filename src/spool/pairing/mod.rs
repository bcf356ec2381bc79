//! What to do about what lies in incoming: take a manifest with its data file, take it alone and
//! refuse, or wait. Pure.
//!
//! The same sight gives the same decisions, and a wait is never longer than its period from now,
//! whatever the clock did ([`Age`]). Texts that a partner gets quote names escaped.

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

/// How many manifests one look takes, each at the price of some syncs: one account's ten thousand
/// leave room for others' looks between theirs. Also what a look's refusals cost is bounded so.
pub const TAKEN_BY_ONE_LOOK: usize = 100;

/// Events of older changes have long been read, or were before our time.
const FRESH: Duration = Duration::from_secs(1);

/// What could be read of a manifest, for the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// `type`
    pub data_type: Option<DataType>,
    /// `fileName`
    pub data_file: Option<String>,
    /// `clientEmail`
    pub client_email: Option<String>,
}

/// What parsing a manifest's bytes came to.
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
    /// Something isn't, or the upload is not whole yet.
    Invalid {
        /// What and where, several joined by `; `.
        findings: String,
        /// What could be read all the same.
        known: Known,
    },
}

impl Verdict {
    /// What could be read.
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

/// What a manifest holds, as far as it could be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Somebody has it open for writing.
    BeingWritten,
    /// It is not a regular file, or has several names; it was not opened.
    NotPlain,
    /// Its bytes were parsed.
    Read(Verdict),
}

/// A manifest in incoming.
#[derive(Clone, Debug)]
pub struct ManifestSeen {
    /// It, as listed.
    pub entry: Entry,
    /// What it holds.
    pub content: Content,
    /// For how long it has been unchanged.
    pub age: Age,
}

/// How old a file's last change is. The host's clock is asked once, when it is first seen; from
/// then on the monotonic clock counts. So a clock that jumps while a file waits neither ends
/// its time early, which would refuse a good upload, nor makes it endless.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Age {
    /// By the host's clock, when it was first seen.
    pub then: Duration,
    /// Since it was first seen.
    pub since: Duration,
}

impl Age {
    /// How old a change at `ctime` is at `now`. A change in the future was made before the clock
    /// was set back: its age is not known.
    pub fn by_clock(ctime: Timestamp, now: Timestamp) -> Duration {
        Duration::try_from(now.duration_since(ctime)).unwrap_or(Duration::ZERO)
    }

    /// What is left of `period` since the last change; `None` when it is over.
    pub(super) fn left(self, period: Duration) -> Option<Duration> {
        period.checked_sub(self.then.saturating_add(self.since)).filter(|left| !left.is_zero())
    }
}

/// All of an account's incoming that decisions need.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    /// The manifests, in any order.
    pub manifests: Vec<ManifestSeen>,
    /// Everything else with a usable name, in any order.
    pub files: Vec<Entry>,
    /// The names of those data files that somebody has open for writing.
    pub being_written: HashSet<String>,
    /// For how long the data files that manifests name have been unchanged, by name.
    pub ages: HashMap<String, Age>,
    /// The ctime that a change would have had when the listing began: a change after it has at
    /// least this one.
    pub tick: Timestamp,
    /// How long after the listing a change has a later one.
    pub next_tick: Duration,
}

/// A manifest to take out of incoming, with its data file or alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Take {
    /// The manifest.
    pub manifest: Entry,
    /// What could be read of it.
    pub known: Known,
    /// Its data file, or why there is nothing to import.
    pub data: Result<Entry, Failure>,
    /// An earlier import had a manifest of this name, whose answers stay as they are.
    pub spent: bool,
}

impl Take {
    /// What is to be brought into the spool.
    pub fn claim(&self) -> Claim {
        Claim {
            data: self.data.as_ref().ok().map(FileId::of),
            manifest: FileId::of(&self.manifest),
        }
    }

    /// What the answers in results/ are named after.
    pub fn stem(&self, import: &ImportId) -> String {
        if self.spent { import.to_string() } else { results::stem(&self.manifest.name, import) }
    }
}

/// Why a manifest stays in incoming for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is being written.
    ManifestBeingWritten,
    /// Its uploader may not be done with it or with its data file.
    Settling,
    /// An earlier pair is settling.
    Behind,
    /// Its session, or its data file's, ended while it had the file open.
    Cut,
    /// It can't be parsed, and may not be whole yet.
    ManifestNotWhole,
    /// Its data file is not there.
    NoDataFile,
    /// Its data file is being written.
    DataFileBeingWritten,
}

/// A manifest that stays in incoming for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its name.
    pub manifest: String,
    /// Why.
    pub reason: Reason,
    /// After this long it will be refused, if nothing changes; none: only a change decides.
    pub at_most: Option<Duration>,
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decisions {
    /// What to take now, in the order in which manifests were complete.
    pub take: Vec<Take>,
    /// What stays, in the same order.
    pub waiting: Vec<Waiting>,
    /// There are more to decide about, when these are taken.
    pub more: bool,
}

impl Decisions {
    /// How long after the listing to look again even if nothing happens.
    pub fn look_again_in(&self) -> Option<Duration> {
        self.waiting.iter().filter_map(|waiting| waiting.at_most).min()
    }
}

/// Whether the order of some manifests is not known yet, though it will be: the event of a close is
/// in the kernel's queue before anybody can see the closed file.
pub fn order_is_open(sight: &Sight, order: &Order, now: Timestamp) -> bool {
    let is_awaited = |ManifestSeen { entry, .. }: &ManifestSeen| {
        now.duration_since(entry.ctime).unsigned_abs() < FRESH && !order.contains_key(&entry.name)
    };
    sight.manifests.len() > 1 && sight.manifests.iter().any(is_awaited)
}

/// When a manifest was complete: by its arrival, or by its last change where that is not known.
fn completed(manifest: &Entry, order: &Order) -> Arrival {
    let by_change = Arrival { at: manifest.ctime, place: u64::MAX };
    order.get(&manifest.name).copied().unwrap_or(by_change)
}

/// Decides about the manifests in `sight`, until [`TAKEN_BY_ONE_LOOK`] are to take. `order` has
/// their arrivals; `spent` returns the import that has had a manifest name; `upload` what the SFTP
/// server's log says of a file.
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
