//! Scans an account's incoming: lists it, reads new manifests, checks for writers.
//!
//! A scan changes nothing. A manifest is read once per version: the result is kept in the account's
//! [`Memory`] until the file changes or is removed. A file that changes during the scan is skipped;
//! the change itself causes another scan.
//!
//! The cost of a scan is bounded: names by the account's limit, manifests by [`MAX_MANIFESTS`],
//! bytes read by [`READ_BY_ONE_LOOK`]. The earliest manifests are read first, so later ones cannot
//! overtake them.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::time::Duration;

use jiff::Timestamp;
use nix::errno::Errno;
use nix::sys::stat::fstat;
use nix::time::{ClockId, clock_getres, clock_gettime};

use super::empty::Empty;
use super::entry::Entry;
use super::listing::{Held, Listing};
use super::manifest_cache::{Memory, Remembered, Version};
use crate::account::AccountId;
use crate::config::{Limits, Size};
use crate::files::dir::Folder;
use crate::spool::layout::Layout;
use crate::spool::opener::{Lease, Opener, Place};
use crate::spool::pairing::{Content, Known, ManifestSeen, Sight, Verdict};
use crate::spool::scan_error::ScanError;
use crate::sys::LeaseError;

/// The most manifests in one scan. A parsed manifest with its findings takes some kilobytes.
const MAX_MANIFESTS: usize = 10_000;

/// The most bytes of manifests read in one scan, not counting the last manifest. This takes some
/// seconds of parsing.
const READ_BY_ONE_LOOK: u64 = 64 * 1024 * 1024;

/// The result of a scan.
#[derive(Debug, Default)]
pub struct Seen {
    /// The input of [`super::pair::decide`].
    pub sight: Sight,
    /// The number of unusable names (not UTF-8, control characters). Hidden names do not count.
    pub unusable: usize,
    pub held: Held,
    /// Set if incoming is empty.
    pub empty: Option<Empty>,
    /// Whether manifests are left to read, so that the caller must scan again immediately.
    pub unread: bool,
    /// The names of all listed manifests, including those that changed and are not in `sight`.
    pub manifests: HashSet<String>,
    /// Whether a file changed during the scan. Setting a time or permissions causes no event.
    pub changed: bool,
    /// Files that the host could not open or read. Their manifests are not in `sight`.
    pub problems: Vec<ScanError>,
}

/// The result of opening a listed file.
enum Opened {
    Leased(Lease),
    BeingWritten,
    /// The file was changed, replaced or removed since the listing.
    Changed,
}

/// An account's incoming, open.
#[derive(Debug)]
pub struct Incoming {
    folder: Folder,
    place: Place,
    opener: Opener,
}

impl Incoming {
    /// Opens an account's incoming. `opener` opens its files.
    pub fn open(layout: &Layout, account: &AccountId, opener: &Opener) -> Result<Self, ScanError> {
        let folder = Folder::open(&layout.incoming(account))?;
        Ok(Self { folder, place: Place::Incoming(account.clone()), opener: opener.clone() })
    }

    /// Scans incoming, within `limits`. `parse` parses a manifest. Fails only if the folder cannot
    /// be read; errors of single files are in [`Seen::problems`].
    pub fn look(
        &self,
        memory: &mut Memory,
        limits: &Limits,
        parse: impl Fn(&[u8]) -> Verdict,
    ) -> Result<Seen, ScanError> {
        let failed = |errno: Errno| ScanError::List {
            path: self.folder.path().to_owned(),
            source: errno.into(),
        };
        let before = fstat(self.folder.as_fd()).map_err(failed)?;
        let (tick, next_tick) = clock_tick().map_err(failed)?;
        let listing = Listing::read(&self.folder, limits.max_waiting_files).map_err(failed)?;
        let mut seen = self.scan(listing, memory, limits, parse);
        seen.sight.tick = tick;
        seen.sight.next_tick = next_tick;
        if seen.held == Held::default() {
            seen.empty = Empty::of(&before, Timestamp::now());
        }
        Ok(seen)
    }

    /// Reads the new manifests in `listing`, and finds files that are still being written.
    fn scan(
        &self,
        listing: Listing,
        memory: &mut Memory,
        limits: &Limits,
        parse: impl Fn(&[u8]) -> Verdict,
    ) -> Seen {
        let mut seen = Seen { unusable: listing.unusable, held: listing.held, ..Seen::default() };
        let (mut manifests, files): (Vec<_>, Vec<_>) =
            listing.entries.into_iter().partition(Entry::is_manifest);
        seen.sight.files = files;
        seen.manifests = manifests.iter().map(|entry| entry.name.clone()).collect();
        manifests.sort_by(|a, b| (a.ctime, &a.name).cmp(&(b.ctime, &b.name)));
        manifests.truncate(MAX_MANIFESTS);
        self.read_manifests(manifests, memory, limits.max_manifest, &parse, &mut seen);
        if seen.held.cut {
            self.find_data_files(&mut seen);
        }
        self.ask_for_writers(&mut seen);
        remember_data_files(&mut seen.sight, memory);
        seen
    }

    /// Reads the new manifests, the earliest first, up to [`READ_BY_ONE_LOOK`].
    fn read_manifests(
        &self,
        manifests: Vec<Entry>,
        memory: &mut Memory,
        max: Size,
        parse: impl Fn(&[u8]) -> Verdict,
        seen: &mut Seen,
    ) {
        let mut kept = HashMap::with_capacity(manifests.len());
        let mut read = 0;
        for entry in manifests {
            let version = Version::of(&entry);
            let mut remembered =
                memory.manifests.remove(&version).unwrap_or_else(|| Remembered::now(&entry));
            if remembered.verdict.is_none() && entry.is_plain() {
                if read > READ_BY_ONE_LOOK {
                    seen.unread = true;
                    break; // later manifests wait for the next scan
                }
                read += entry.size.min(max.bytes());
            }
            match self.content(&entry, &mut remembered, max, &parse) {
                Ok(Some(content)) => {
                    let age = remembered.age();
                    seen.sight.manifests.push(ManifestSeen { entry, content, age });
                }
                Ok(None) => seen.changed = true,
                Err(problem) => seen.problems.push(problem),
            }
            kept.insert(version, remembered);
        }
        memory.manifests = kept;
    }

    /// Adds the data files of manifests that are not in a truncated listing.
    fn find_data_files(&self, seen: &mut Seen) {
        let listed: HashSet<_> = seen.sight.files.iter().map(|file| file.name.as_str()).collect();
        let named = seen.sight.manifests.iter().filter_map(|manifest| match &manifest.content {
            Content::Read(Verdict::Valid { data_file, .. }) => Some(data_file),
            _ => None,
        });
        let found: Vec<_> = named
            .filter(|name| !listed.contains(name.as_str()))
            .filter_map(|name| Some(Entry::new(name, &self.folder.stat(name.as_str()).ok()?)))
            .collect();
        seen.sight.files.extend(found);
    }

    /// Returns a manifest's content. `None` if it changed since the listing.
    fn content(
        &self,
        entry: &Entry,
        remembered: &mut Remembered,
        max: Size,
        parse: impl Fn(&[u8]) -> Verdict,
    ) -> Result<Option<Content>, ScanError> {
        if entry.is_unlinked() {
            return Ok(None);
        }
        if !entry.is_plain() {
            return Ok(Some(Content::NotPlain));
        }
        if let Some(verdict) = &remembered.verdict {
            return Ok(Some(Content::Read(verdict.clone())));
        }
        let lease = match self.lease(entry)? {
            Opened::Leased(lease) => lease,
            Opened::BeingWritten => return Ok(Some(Content::BeingWritten)),
            Opened::Changed => return Ok(None),
        };
        let failed = |source| self.unreadable(entry, source);
        let bytes = read_up_to(lease.file(), max.bytes()).map_err(failed)?;
        if !lease.is_unbroken().map_err(failed)? {
            return Ok(Some(Content::BeingWritten));
        }
        let verdict = bytes.map_or_else(|| too_large(entry, max), |bytes| parse(&bytes));
        remembered.verdict = Some(verdict.clone());
        Ok(Some(Content::Read(verdict)))
    }

    /// Finds the data files of manifests that are still being written.
    fn ask_for_writers(&self, seen: &mut Seen) {
        let Seen { sight, problems, changed, .. } = seen;
        let files: HashMap<_, _> = sight.files.iter().map(|f| (f.name.as_str(), f)).collect();
        let being_written = &mut sight.being_written;
        sight.manifests.retain(|manifest| {
            let Content::Read(Verdict::Valid { data_file, .. }) = &manifest.content else {
                return true;
            };
            let Some(file) = files.get(data_file.as_str()) else { return true };
            if file.is_unlinked() {
                *changed = true;
                return false;
            }
            if !file.is_plain() {
                return true;
            }
            match self.lease(file) {
                Ok(Opened::Leased(_)) => true,
                Ok(Opened::BeingWritten) => {
                    being_written.insert(data_file.clone());
                    true
                }
                Ok(Opened::Changed) => {
                    *changed = true;
                    false
                }
                Err(problem) => {
                    problems.push(problem);
                    false
                }
            }
        });
    }

    /// Opens the file of `entry` and acquires a read lease on it.
    fn lease(&self, entry: &Entry) -> Result<Opened, ScanError> {
        let file = match self.opener.open(&self.place, &entry.name) {
            Ok(file) => file,
            // Removed, or replaced by something else than a regular file with one name.
            Err(Errno::ENOENT | Errno::ELOOP | Errno::ENXIO | Errno::ENODEV) => {
                return Ok(Opened::Changed);
            }
            Err(errno) => {
                return Err(ScanError::Open {
                    path: self.folder.path().to_owned(),
                    name: entry.name.clone(),
                    source: errno.into(),
                });
            }
        };
        let stat = fstat(&file).map_err(|errno| self.unreadable(entry, errno.into()))?;
        let now = Entry::new(&entry.name, &stat);
        if Version::of(&now) != Version::of(entry) || !now.is_plain() {
            return Ok(Opened::Changed);
        }
        match self.opener.lease(file) {
            Ok(lease) => Ok(Opened::Leased(lease)),
            Err(LeaseError::Writer) => Ok(Opened::BeingWritten),
            Err(source) => Err(ScanError::Lease {
                path: self.folder.path().to_owned(),
                name: entry.name.clone(),
                source,
            }),
        }
    }

    fn unreadable(&self, entry: &Entry, source: io::Error) -> ScanError {
        let path = self.folder.path().to_owned();
        ScanError::Read { path, name: entry.name.clone(), source }
    }
}

/// Returns the ctime of a change made now, and the time until the next clock tick.
fn clock_tick() -> nix::Result<(Timestamp, Duration)> {
    let time = |clock| clock_gettime(clock).map(Duration::from);
    let tick = time(ClockId::CLOCK_REALTIME_COARSE)?;
    let step = Duration::from(clock_getres(ClockId::CLOCK_REALTIME_COARSE)?);
    let passed = time(ClockId::CLOCK_REALTIME)?.saturating_sub(tick);
    let timestamp = Timestamp::UNIX_EPOCH.checked_add(tick).unwrap_or(Timestamp::MIN);
    Ok((timestamp, step.saturating_sub(passed)))
}

/// Notes how long the data files of manifests have been unchanged.
fn remember_data_files(sight: &mut Sight, memory: &mut Memory) {
    let files: HashMap<_, _> = sight.files.iter().map(|file| (file.name.as_str(), file)).collect();
    let mut kept = HashMap::new();
    for manifest in &sight.manifests {
        let Content::Read(Verdict::Valid { data_file, .. }) = &manifest.content else { continue };
        let Some(file) = files.get(data_file.as_str()) else { continue };
        let version = Version::of(file);
        let remembered =
            memory.data_files.remove(&version).unwrap_or_else(|| Remembered::now(file));
        // Another manifest may name the same file.
        let remembered = kept.entry(version).or_insert(remembered);
        sight.ages.insert(data_file.clone(), remembered.age());
    }
    memory.data_files = kept;
}

/// Reads `file`. `None` if it is larger than `max` bytes.
fn read_up_to(file: &File, max: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= max).then_some(bytes))
}

fn too_large(entry: &Entry, max: Size) -> Verdict {
    let findings = format!("the manifest has {} bytes, {} are allowed", entry.size, max.bytes());
    Verdict::Invalid { findings, known: Known::default() }
}

#[cfg(test)]
mod tests;
