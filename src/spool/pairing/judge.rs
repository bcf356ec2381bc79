//! Decides whether to claim, refuse or postpone one manifest, given the earlier manifests. This
//! module is pure.
//!
//! A pair is ready when its upload is finished. The upload is finished when all sessions that
//! changed its files have ended, or when both files have been unchanged for `pairing.settle`. A
//! wait never exceeds its configured period from the present time, even if the clock jumps. Texts
//! for partners contain names escaped and truncated.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use super::hints::{cut_short, missing_file_hints, quote_name, reused_name_advice};
use crate::audit::{UploadState, WriterState};
use crate::config::Pairing;
use crate::import_id::ImportId;
use crate::report::{Failure, FailureText};
use crate::spool::incoming::entry::{DirEntry, FileKind, data_ending};
use crate::spool::incoming::file_index::FileIndex;
use crate::spool::incoming::snapshot::{
    Age, ArrivingFile, ListedManifest, ManifestContent, ParsedManifest, Snapshot,
};
use crate::spool::watch::arrivals::ArrivalOrder;

/// The longest step of the kernel's coarse clock. The step is 10 ms if the kernel has
/// CONFIG_HZ=100.
const TICK: Duration = Duration::from_millis(10);

/// The reason why a manifest stays in incoming for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    ManifestBeingWritten,
    /// The upload of the manifest or of its data file may not be complete.
    Settling,
    /// The manifest waits, because an earlier pair is settling.
    Behind,
    /// The upload of the manifest or of its data file was interrupted.
    Cut,
    /// The manifest cannot be parsed, and its upload may be incomplete.
    ManifestIncomplete,
    /// The data file is missing, and no process writes it under a temporary name.
    NoDataFile,
    /// A process writes the data file, possibly under a temporary name.
    DataFileBeingWritten,
    /// The manifest's name does not end in `.manifest`. The client may still rename it.
    Misnamed,
}

/// The decision about one manifest of a scan.
pub enum Judgement {
    /// The manifest is claimed, either with its data file or only to be refused.
    Claim(Result<DirEntry, Failure>),
    /// The manifest stays in incoming, at most for the given time.
    Wait(WaitReason, Option<Duration>),
}

impl Judgement {
    fn refuse(text: FailureText, detail: String) -> Self {
        Self::Claim(Err(Failure::new(text, detail)))
    }
}

/// Decides about the manifests of a scan in order. The earliest manifest is first.
pub struct Judge<'a> {
    files: FileIndex<'a>,
    being_written: &'a HashSet<String>,
    arriving: &'a HashMap<String, ArrivingFile>,
    ages: &'a HashMap<String, Age>,
    tick: Timestamp,
    next_tick: Duration,
    order: &'a ArrivalOrder,
    /// For each data file in incoming, the times at which the manifests that name it were complete.
    naming: HashMap<&'a str, Vec<Timestamp>>,
    /// The data files that are already claimed. Each is mapped to the manifest with which it was
    /// claimed.
    given: HashMap<&'a str, &'a str>,
    periods: &'a Pairing,
    upload: &'a dyn Fn(&DirEntry) -> UploadState,
    /// Whether an earlier pair is settling. If so, no manifest is claimed, and refusals need no
    /// hints.
    pub is_behind: bool,
}

impl<'a> Judge<'a> {
    pub fn new(
        snapshot: &'a Snapshot,
        order: &'a ArrivalOrder,
        periods: &'a Pairing,
        upload: &'a dyn Fn(&DirEntry) -> UploadState,
    ) -> Self {
        let mut judge = Self {
            files: FileIndex::new(&snapshot.files),
            being_written: &snapshot.being_written,
            arriving: &snapshot.arriving,
            ages: &snapshot.ages,
            tick: snapshot.tick,
            next_tick: snapshot.next_tick,
            order,
            naming: HashMap::new(),
            given: HashMap::new(),
            periods,
            upload,
            is_behind: false,
        };
        for manifest in &snapshot.manifests {
            if let Some(file) = manifest.data_file().and_then(|name| judge.files.find(name)) {
                let completed = judge.completed(&manifest.entry);
                judge.naming.entry(&file.name).or_default().push(completed);
            }
        }
        judge
    }

    /// Decides about the next manifest. `earlier` is the import that used the manifest's name
    /// before.
    pub fn manifest(
        &mut self,
        manifest: &'a ListedManifest,
        earlier: Option<&ImportId>,
    ) -> Judgement {
        let parsed = match &manifest.content {
            ManifestContent::BeingWritten => {
                return Judgement::Wait(WaitReason::ManifestBeingWritten, None);
            }
            ManifestContent::NotPlain => {
                let detail = not_plain("manifest", &manifest.entry);
                // The second name of the file may be temporary, because the SFTP server renames a
                // file with link and unlink.
                return self.refuse(manifest, FailureText::Unreadable, detail);
            }
            ManifestContent::Read(parsed) => parsed,
        };
        if let Some(left) = self.cut_wait(&[(&manifest.entry, manifest.age)]) {
            return Judgement::Wait(WaitReason::Cut, Some(left));
        }
        if let ParsedManifest::Misnamed { findings, .. } = parsed {
            // This wait also applies if the manifest's session has ended, because the next session
            // may rename the manifest.
            return match self.settle_left(&manifest.entry, manifest.age) {
                Some(left) => Judgement::Wait(WaitReason::Misnamed, Some(left)),
                None => Judgement::refuse(FailureText::Manifest, findings.clone()),
            };
        }
        if let ParsedManifest::Invalid { .. } = parsed
            && let Some(wait) = self.incomplete_wait(manifest)
        {
            return wait;
        }
        if let Some(import) = earlier {
            let detail = reused_name_advice(&manifest.entry.name, import, self.tick);
            return self.refuse(manifest, FailureText::Manifest, detail);
        }
        match parsed {
            // The periods of `incomplete_wait` are over, because the function has returned `None`.
            ParsedManifest::Invalid { findings, .. } => {
                Judgement::refuse(FailureText::Manifest, findings.clone())
            }
            ParsedManifest::Valid { data_file, .. } => self.data(manifest, data_file),
            ParsedManifest::Misnamed { .. } | ParsedManifest::Foreign => {
                Judgement::Wait(WaitReason::Misnamed, None)
            }
        }
    }

    fn data(&mut self, manifest: &'a ListedManifest, name: &'a str) -> Judgement {
        if data_ending(name).is_none() {
            let detail = format!(
                "a data file's name ends in .csv, .csv.gz or .csv.zst; {} does not",
                quote_name(name)
            );
            return self.refuse(manifest, FailureText::Unreadable, detail);
        }
        let file = match self.files.find(name) {
            Some(file) if !self.given.contains_key(file.name.as_str()) => file,
            _ => return self.no_data_file(manifest, name),
        };
        let name = file.name.as_str();
        let age = self.ages.get(name).copied().unwrap_or_default();
        let both = [(&manifest.entry, manifest.age), (file, age)];
        if !file.is_plain() {
            return match self.settling_wait(&both) {
                Some(left) => Judgement::Wait(WaitReason::Settling, Some(left)),
                None => Judgement::refuse(FailureText::Unreadable, not_plain("data file", file)),
            };
        }
        if self.is_replaced(manifest, file) {
            let detail = format!(
                "{} was uploaded again before this pair was claimed: \
                 end the session, wait {} s or use another name",
                cut_short(name),
                self.periods.settle.get().as_secs_f64().ceil()
            );
            return self.refuse(manifest, FailureText::NoDataFile, detail);
        }
        if self.being_written.contains(name) {
            return self.data_file_being_written(manifest, name);
        }
        if let Some(left) = self.cut_wait(&both) {
            return Judgement::Wait(WaitReason::Cut, Some(left));
        }
        if let Some(left) = self.settling_wait(&both) {
            return Judgement::Wait(WaitReason::Settling, Some(left));
        }
        self.given.insert(name, &manifest.entry.name);
        Judgement::Claim(Ok(file.clone()))
    }

    /// Refuses the manifest if the upload of the manifest is complete. Otherwise the manifest
    /// waits.
    fn refuse(&self, manifest: &ListedManifest, text: FailureText, detail: String) -> Judgement {
        match self.settling_wait(&[(&manifest.entry, manifest.age)]) {
            Some(left) => Judgement::Wait(WaitReason::Settling, Some(left)),
            None => Judgement::refuse(text, detail),
        }
    }

    /// Returns the maximum wait until the uploads of `files` are complete. Returns `None` if the
    /// uploads are complete.
    fn settling_wait(&self, files: &[(&DirEntry, Age)]) -> Option<Duration> {
        let left = files.iter().filter_map(|(entry, age)| self.settle_left(entry, *age)).max()?;
        if files.iter().any(|(entry, _)| (self.upload)(entry).sessions != WriterState::Ended) {
            return Some(left);
        }
        // A second change of a file within the same clock tick does not change the ctime.
        let is_of_this_tick = files.iter().any(|(entry, _)| entry.ctime >= self.tick);
        is_of_this_tick.then(|| left.min(self.next_tick))
    }

    /// Returns the part of `settle` that remains since the last change of a file, or since a
    /// change that the log announced.
    fn settle_left(&self, entry: &DirEntry, age: Age) -> Option<Duration> {
        let settle = self.periods.settle.get();
        let announced = (self.upload)(entry).announced_at.and_then(|at| {
            let since = self.tick.duration_since(at);
            // The clock tick is behind the clock of the log. If the clock was set back, the log is
            // ignored.
            let is_known = since.unsigned_abs() <= TICK || since.is_positive();
            let then = since.try_into().unwrap_or_default();
            is_known.then_some(Age { then, since: Duration::ZERO })
        });
        age.left(settle).max(announced.and_then(|announced| announced.left(settle)))
    }

    /// Returns the wait for the resumption of an interrupted upload. Returns `None` if no upload
    /// was interrupted.
    fn cut_wait(&self, files: &[(&DirEntry, Age)]) -> Option<Duration> {
        let grace = self.periods.data_file_grace.get();
        let left = files.iter().filter_map(|(_, age)| age.left(grace)).max()?;
        let is_cut = |entry: &DirEntry| (self.upload)(entry).sessions == WriterState::Cut;
        files.iter().any(|(entry, _)| is_cut(entry)).then_some(left)
    }

    /// Returns the wait for an invalid manifest. The manifest may be incomplete, even if its
    /// session has ended.
    fn incomplete_wait(&self, manifest: &ListedManifest) -> Option<Judgement> {
        let settling = self.settle_left(&manifest.entry, manifest.age);
        let settling = settling.map(|left| (WaitReason::Settling, left));
        let quiet = || manifest.age.left(self.periods.manifest_quiet_period.get());
        let (reason, left) =
            settling.or_else(|| quiet().map(|left| (WaitReason::ManifestIncomplete, left)))?;
        Some(Judgement::Wait(reason, Some(left)))
    }

    /// Returns whether a complete data file was replaced after its manifest was complete. If so,
    /// the new file belongs to a later manifest.
    fn is_replaced(&self, manifest: &ListedManifest, file: &DirEntry) -> bool {
        let (ours, its) = ((self.upload)(&manifest.entry), (self.upload)(file));
        match ours.closed_at {
            Some(closed) if its.is_known => its.replaced_at.is_some_and(|at| at > closed),
            // Without the log, two times decide: the manifest was complete before the last change
            // of the file, and a later manifest was complete after this change.
            _ => {
                let later = self.naming.get(file.name.as_str());
                self.completed(&manifest.entry) < file.ctime
                    && later.is_some_and(|all| all.iter().any(|at| *at > file.ctime))
            }
        }
    }

    /// Returns the time at which a manifest was complete, which is the earlier of arrival and
    /// ctime. The ctime is too late if a client sets the file's time afterwards. The arrival is too
    /// late if its event is read late.
    fn completed(&self, manifest: &DirEntry) -> Timestamp {
        let arrival = self.order.get(&manifest.name);
        arrival.map_or(manifest.ctime, |arrival| arrival.at.min(manifest.ctime))
    }

    fn no_data_file(&self, manifest: &ListedManifest, name: &str) -> Judgement {
        let grace = self.periods.data_file_grace.get();
        let mut left = manifest.age.left(grace);
        let arriving = self.arriving.get(name);
        if let Some(file) = arriving {
            if file.is_open {
                return self.data_file_being_written(manifest, &file.name);
            }
            // The client may still rename the file, but only within a limited time.
            let most = manifest.age.left(self.periods.open_file_grace.get());
            left = left.max(file.age.left(grace).min(most));
        }
        if let Some(left) = left {
            return Judgement::Wait(WaitReason::NoDataFile, Some(left));
        }
        let given = self.files.find(name).and_then(|file| self.given.get(file.name.as_str()));
        let mut detail = match given {
            Some(other) => {
                format!("{} was claimed with the manifest {}", quote_name(name), quote_name(other))
            }
            None => format!("{} is not in incoming", quote_name(name)),
        };
        if self.is_behind {
            return self.refuse(manifest, FailureText::NoDataFile, detail);
        }
        let hidden = arriving.map(|file| file.name.as_str()).filter(|name| name.starts_with('.'));
        detail += &missing_file_hints(name, self.files.names().chain(hidden));
        self.refuse(manifest, FailureText::NoDataFile, detail)
    }

    fn data_file_being_written(&self, manifest: &ListedManifest, name: &str) -> Judgement {
        let period = self.periods.open_file_grace.get();
        if let Some(left) = manifest.age.left(period) {
            return Judgement::Wait(WaitReason::DataFileBeingWritten, Some(left));
        }
        let detail = format!(
            "{} is still being written {period:?} after its manifest arrived; \
             upload the manifest when the data file is complete",
            quote_name(name)
        );
        Judgement::refuse(FailureText::NoDataFile, detail)
    }
}

fn not_plain(role: &str, entry: &DirEntry) -> String {
    let file = format!("the {role} {}", quote_name(&entry.name));
    let finding = match entry.kind {
        FileKind::Regular => format!("{file} has {} names (hard links)", entry.nlink),
        FileKind::Folder => format!("{file} is a folder"),
        FileKind::Other => format!("{file} is not a regular file"),
    };
    format!("{finding}; upload it as a file of its own")
}
