//! What to do about what lies in incoming: take a manifest with its data file, take it alone and
//! refuse, or wait. Pure.
//!
//! The same sight gives the same decisions, and a wait is never longer than its period from now,
//! whatever the clock did. Texts that a partner gets quote names escaped.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use super::arrivals::Order;
use super::claim::{Claim, FileId};
use super::entry::{Entry, Kind, data_ending};
use super::results;
use crate::config::Pairing;
use crate::import_id::ImportId;
use crate::report::{DataType, Failure, FailureText};

/// How many similarly named files a refusal lists.
const MAX_SIMILAR: usize = 5;

/// How much of a name a refusal quotes, in characters.
const MAX_QUOTED: usize = 64;

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
    /// For how long it is known to lie there unchanged, by the monotonic clock: a wall clock that
    /// was set back makes nobody wait for ever.
    pub seen_for: Duration,
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
    /// What is to be moved into the spool.
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
    /// Its client may not be done with it: some set its time when it is closed.
    Settling,
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
    /// What to take now, in the order of upload: the manifest's last change, then its
    /// arrival, then its name.
    pub take: Vec<Take>,
    /// What stays, in the same order.
    pub waiting: Vec<Waiting>,
}

impl Decisions {
    /// After how long to look again even if nothing happens.
    pub fn look_again_in(&self) -> Option<Duration> {
        self.waiting.iter().filter_map(|waiting| waiting.at_most).min()
    }
}

/// Whether the order of some manifests of one tick is not known yet, though it will be: the
/// event of a close is in the kernel's queue before anybody can see the closed file.
pub fn order_is_open(sight: &Sight, order: &Order, now: Timestamp) -> bool {
    let mut ticks: HashMap<Timestamp, (usize, usize)> = HashMap::new();
    for ManifestSeen { entry, .. } in &sight.manifests {
        if now.duration_since(entry.ctime).unsigned_abs() < FRESH {
            let (all, known) = ticks.entry(entry.ctime).or_default();
            *all += 1;
            *known += usize::from(order.contains_key(&entry.name));
        }
    }
    ticks.values().any(|(all, known)| *all > 1 && known < all)
}

/// Decides about every manifest in `sight`. `order` tells apart what came in one tick; `spent`
/// tells which import has had a manifest name.
pub fn decide(
    sight: &Sight,
    order: &Order,
    now: Timestamp,
    periods: &Pairing,
    spent: impl Fn(&str) -> Option<ImportId>,
) -> Decisions {
    let mut manifests: Vec<_> = sight.manifests.iter().collect();
    manifests.sort_by_key(|manifest| {
        let entry = &manifest.entry;
        (entry.ctime, order.get(&entry.name).copied().unwrap_or(u64::MAX), &entry.name)
    });
    let mut judge = Judge {
        files: sight.files.iter().map(|file| (file.name.as_str(), file)).collect(),
        being_written: &sight.being_written,
        given: HashMap::new(),
        periods,
        now,
    };
    let mut decisions = Decisions::default();
    for manifest in manifests {
        let earlier = spent(&manifest.entry.name);
        match judge.manifest(manifest, earlier.as_ref()) {
            Judgement::Wait(reason, at_most) => decisions.waiting.push(Waiting {
                manifest: manifest.entry.name.clone(),
                reason,
                at_most,
            }),
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

/// What becomes of one manifest.
enum Judgement {
    Take(Result<Entry, Failure>),
    Wait(Reason, Option<Duration>),
}

impl Judgement {
    fn refuse(text: FailureText, detail: String) -> Self {
        Self::Take(Err(Failure::new(text, detail)))
    }
}

/// Judges manifests one after the other, earliest first.
struct Judge<'a> {
    files: HashMap<&'a str, &'a Entry>,
    being_written: &'a HashSet<String>,
    /// The data files already given away, with the manifest that got each.
    given: HashMap<&'a str, &'a str>,
    periods: &'a Pairing,
    now: Timestamp,
}

impl<'a> Judge<'a> {
    fn manifest(&mut self, manifest: &'a ManifestSeen, earlier: Option<&ImportId>) -> Judgement {
        let verdict = match &manifest.content {
            Content::BeingWritten => return Judgement::Wait(Reason::ManifestBeingWritten, None),
            Content::NotPlain => {
                let detail = not_plain("manifest", &manifest.entry);
                return Judgement::refuse(FailureText::Unreadable, detail);
            }
            Content::Read(verdict) => verdict,
        };
        if let Some(left) = self.left(manifest, self.periods.settle.get()) {
            return Judgement::Wait(Reason::Settling, Some(left));
        }
        if let Verdict::Invalid { .. } = verdict
            && let Some(left) = self.left(manifest, self.periods.manifest_quiet_period.get())
        {
            return Judgement::Wait(Reason::ManifestNotWhole, Some(left));
        }
        if let Some(import) = earlier {
            let detail = format!(
                "the name {} was used before, by import {import}; \
                 create a new manifest file with a new name",
                quote(&manifest.entry.name)
            );
            return Judgement::refuse(FailureText::Manifest, detail);
        }
        match verdict {
            Verdict::Invalid { findings, .. } => {
                Judgement::refuse(FailureText::Manifest, findings.clone())
            }
            Verdict::Valid { data_file, .. } => self.data(manifest, data_file),
        }
    }

    fn data(&mut self, manifest: &'a ManifestSeen, name: &'a str) -> Judgement {
        if data_ending(name).is_none() {
            let detail = format!(
                "a data file's name ends in .csv, .csv.gz or .csv.zst; {} does not",
                quote(name)
            );
            return Judgement::refuse(FailureText::Unreadable, detail);
        }
        let file = match self.files.get(name) {
            Some(file) if !self.given.contains_key(name) => *file,
            _ => return self.no_data_file(manifest, name),
        };
        if !file.is_plain() {
            return Judgement::refuse(FailureText::Unreadable, not_plain("data file", file));
        }
        if self.being_written.contains(name) {
            return self.data_file_being_written(manifest, name);
        }
        self.given.insert(name, &manifest.entry.name);
        Judgement::Take(Ok(file.clone()))
    }

    fn no_data_file(&self, manifest: &ManifestSeen, name: &str) -> Judgement {
        if let Some(left) = self.left(manifest, self.periods.data_file_grace.get()) {
            return Judgement::Wait(Reason::NoDataFile, Some(left));
        }
        let mut detail = match self.given.get(name) {
            Some(other) => format!("{} was taken for the manifest {}", quote(name), quote(other)),
            None => format!("{} is not in incoming", quote(name)),
        };
        let similar = self.similar(name);
        if !similar.is_empty() {
            detail += &format!("; similar names there: {}", similar.join(", "));
        }
        Judgement::refuse(FailureText::NoDataFile, detail)
    }

    fn data_file_being_written(&self, manifest: &ManifestSeen, name: &str) -> Judgement {
        let period = self.periods.open_file_grace.get();
        if let Some(left) = self.left(manifest, period) {
            return Judgement::Wait(Reason::DataFileBeingWritten, Some(left));
        }
        let detail = format!(
            "{} is still being written {period:?} after its manifest came; \
             upload the manifest when the data file is whole",
            quote(name)
        );
        Judgement::refuse(FailureText::NoDataFile, detail)
    }

    /// What is left of `period` since the manifest's last change; none when it is over.
    fn left(&self, manifest: &ManifestSeen, period: Duration) -> Option<Duration> {
        let since = self.now.duration_since(manifest.entry.ctime);
        // A change in the future was made before the clock was set back: age unknown.
        let age = Duration::try_from(since).unwrap_or(Duration::ZERO).max(manifest.seen_for);
        period.checked_sub(age).filter(|left| !left.is_zero())
    }

    /// Names that a partner may have meant by `name`, in order, quoted.
    fn similar(&self, name: &str) -> Vec<String> {
        let stem = &name[..name.len() - data_ending(name).unwrap_or(0)];
        let mut names: Vec<_> =
            self.files.keys().filter(|other| **other != name && begins_with(other, stem)).collect();
        names.sort_unstable_by_key(|other| (other.len().abs_diff(name.len()), **other));
        names.into_iter().take(MAX_SIMILAR).map(|other| quote(other)).collect()
    }
}

fn begins_with(name: &str, stem: &str) -> bool {
    name.get(..stem.len()).is_some_and(|start| start.eq_ignore_ascii_case(stem))
}

fn not_plain(role: &str, entry: &Entry) -> String {
    let what = match entry.kind {
        Kind::Regular => format!("has {} names (hard links)", entry.nlink),
        Kind::Folder => "is a folder".to_owned(),
        Kind::Other => "is not a regular file".to_owned(),
    };
    format!("the {role} {} {what}; upload it as a file of its own", quote(&entry.name))
}

/// `name` in quotation marks, escaped, its end left out when it is long.
fn quote(name: &str) -> String {
    match name.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{:?}…", &name[..end]),
        None => format!("{name:?}"),
    }
}

#[cfg(test)]
#[path = "pair_tests.rs"]
mod tests;
