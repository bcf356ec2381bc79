//! What becomes of one manifest, given those that came before it. Pure.
//!
//! A wait is never longer than its period from now, whatever the clock did. Texts that a partner
//! gets quote names escaped, and cut.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::entry::{Entry, Kind, data_ending};
use super::pair::{Content, ManifestSeen, Reason, Verdict};
use crate::config::{Pairing, Period};
use crate::import_id::ImportId;
use crate::report::{Failure, FailureText};

/// How many similarly named files a refusal lists.
const MAX_SIMILAR: usize = 5;

/// How much of a name a refusal quotes, in characters.
const MAX_QUOTED: usize = 64;

/// What becomes of one manifest.
pub(super) enum Judgement {
    /// Take it: with its data file, or to refuse it.
    Take(Result<Entry, Failure>),
    /// Leave it, at most for so long.
    Wait(Reason, Option<Duration>),
}

impl Judgement {
    fn refuse(text: FailureText, detail: String) -> Self {
        Self::Take(Err(Failure::new(text, detail)))
    }
}

/// Judges manifests one after the other, earliest first.
pub(super) struct Judge<'a> {
    pub(super) files: HashMap<&'a str, &'a Entry>,
    pub(super) being_written: &'a HashSet<String>,
    /// The data files already given away, with the manifest that got each.
    pub(super) given: HashMap<&'a str, &'a str>,
    pub(super) periods: &'a Pairing,
}

impl<'a> Judge<'a> {
    /// Judges the next manifest; `earlier` is the import that has had its name.
    pub(super) fn manifest(
        &mut self,
        manifest: &'a ManifestSeen,
        earlier: Option<&ImportId>,
    ) -> Judgement {
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

    /// Whether the manifest's last change is younger than `period`.
    pub(super) fn is_younger(&self, manifest: &ManifestSeen, period: Period) -> bool {
        self.left(manifest, period.get()).is_some()
    }

    /// What is left of `period` since the manifest's last change; none when it is over.
    fn left(&self, manifest: &ManifestSeen, period: Duration) -> Option<Duration> {
        period
            .checked_sub(manifest.age.then.saturating_add(manifest.age.since))
            .filter(|left| !left.is_zero())
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
pub(super) fn quote(name: &str) -> String {
    match name.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{:?}…", &name[..end]),
        None => format!("{name:?}"),
    }
}
