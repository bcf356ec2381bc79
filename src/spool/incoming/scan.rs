//! Scans an account's incoming: lists it, reads new manifests, checks for writers.
//!
//! A scan makes no changes. A manifest is read once per version: the account's [`ManifestCache`]
//! keeps the result until the file changes or is removed. A file that changes during the scan is
//! skipped, and the change itself causes another scan. Files whose names were probably meant as
//! manifest names are read after the manifests.
//!
//! The cost of a scan is bounded. The account's limit bounds the names, [`MAX_MANIFESTS`] the
//! manifests, and [`MAX_READ_PER_SCAN`] the bytes that are read. The earliest manifests are read
//! first, so that later manifests cannot overtake them.

mod arriving;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use nix::errno::Errno;
use nix::sys::stat::fstat;
use nix::time::{ClockId, clock_getres, clock_gettime};

use super::empty::EmptyIncoming;
use super::entry::DirEntry;
use super::file_index::FileIndex;
use super::listing::{IncomingListing, IncomingUsage, ScanError};
use super::manifest_cache::{CachedFile, FileVersion, ManifestCache};
use super::manifest_name::right_name;
use super::readme;
use super::snapshot::{ListedManifest, ManifestContent, ManifestValues, ParsedManifest, Snapshot};
use crate::account::AccountId;
use crate::config::{Limits, Size};
use crate::files::IoError;
use crate::files::dir::Folder;
use crate::spool::layout::Layout;
use crate::spool::opener::{Lease, Opener, OpenerFolder};
use crate::sys::LeaseError;

/// The maximum number of manifests in one scan. A parsed manifest and its findings take some
/// kilobytes.
const MAX_MANIFESTS: usize = 10_000;

/// The maximum number of bytes of manifests that are read in one scan. The last manifest does not
/// count. Parsing the manifests takes some seconds.
const MAX_READ_PER_SCAN: u64 = 64 * 1024 * 1024;

/// The result of a scan of an account's incoming.
#[derive(Debug, Default)]
pub struct ScanResult {
    /// The input of [`crate::spool::pairing::decide`].
    pub snapshot: Snapshot,
    /// The number of unusable file names. They are not UTF-8 or have control characters. Hidden
    /// names do not count.
    pub unusable: usize,
    pub usage: IncomingUsage,
    /// Whether the daemon's README.txt is in incoming.
    pub has_readme: bool,
    /// The state of incoming. `Some` if incoming is empty.
    pub empty: Option<EmptyIncoming>,
    /// Whether some manifests were not read yet. If so, the caller must scan again immediately.
    pub unread: bool,
    /// The names of all manifests in the listing, including manifests that changed and are not in
    /// `snapshot`.
    pub manifests: HashSet<String>,
    /// Whether a file changed during the scan. This matters because a change of times or
    /// permissions causes no inotify event.
    pub changed: bool,
    /// The errors of files that the host could not open or read. The manifests of these files are
    /// not in `snapshot`.
    pub problems: Vec<ScanError>,
}

/// The result of opening a file that was listed.
enum OpenResult {
    Leased(Lease),
    BeingWritten,
    /// The file was changed, replaced or removed after it was listed.
    Changed,
}

/// The open incoming folder of an account.
#[derive(Debug)]
pub struct Incoming {
    folder: Folder,
    place: OpenerFolder,
    opener: Opener,
}

impl Incoming {
    /// Opens the incoming folder of an account. `opener` opens the files in the folder.
    pub fn open(layout: &Layout, account: &AccountId, opener: &Opener) -> Result<Self, ScanError> {
        let folder = Folder::open(&layout.incoming(account))?;
        Ok(Self { folder, place: OpenerFolder::Incoming(account.clone()), opener: opener.clone() })
    }

    /// Scans incoming, within `limits`. `parse` parses a manifest. Fails only if the folder cannot
    /// be read. [`ScanResult::problems`] has the errors of single files.
    pub fn scan(
        &self,
        cache: &mut ManifestCache,
        limits: &Limits,
        parse: impl Fn(&str, &[u8]) -> ParsedManifest,
    ) -> Result<ScanResult, ScanError> {
        let failed = |errno: Errno| IoError::new("list", self.folder.path(), errno);
        let before = fstat(self.folder.as_fd()).map_err(failed)?;
        let (tick, next_tick) = clock_tick().map_err(failed)?;
        let listing =
            IncomingListing::read(&self.folder, limits.max_waiting_files).map_err(failed)?;
        let mut result = self.scan_listing(listing, cache, limits, parse);
        result.snapshot.tick = tick;
        result.snapshot.next_tick = next_tick;
        if result.usage == IncomingUsage::default() {
            result.empty = EmptyIncoming::of(&before, Timestamp::now());
        }
        Ok(result)
    }

    /// Writes `text` to README.txt, unless the account has uploaded a file of that name. Returns
    /// whether README.txt was written.
    pub fn place_readme(&self, text: &str) -> Result<bool, IoError> {
        readme::place(&self.folder, text)
    }

    /// Reads the new manifests in `listing`, and finds files that are still being written.
    fn scan_listing(
        &self,
        listing: IncomingListing,
        cache: &mut ManifestCache,
        limits: &Limits,
        parse: impl Fn(&str, &[u8]) -> ParsedManifest,
    ) -> ScanResult {
        let mut result = ScanResult {
            unusable: listing.unusable,
            usage: listing.usage,
            has_readme: listing.has_readme,
            ..ScanResult::default()
        };
        let (mut manifests, files): (Vec<_>, Vec<_>) =
            listing.entries.into_iter().partition(DirEntry::is_manifest);
        result.snapshot.files = files;
        result.manifests = manifests.iter().map(|entry| entry.name.clone()).collect();
        sort_by_change(&mut manifests);
        // Files with other endings than manifests are read last, so that they delay no manifest.
        manifests.extend(possible_manifests(&result.snapshot.files, limits.max_manifest));
        manifests.truncate(MAX_MANIFESTS);
        self.read_manifests(manifests, cache, limits.max_manifest, &parse, &mut result);
        if result.usage.cut {
            self.find_data_files(&mut result);
        }
        self.find_written_files(&mut result);
        self.find_arriving_files(listing.hidden, cache, &mut result);
        remember_data_files(&mut result.snapshot, cache);
        result
    }

    /// Reads the manifests that are new, the earliest first, until [`MAX_READ_PER_SCAN`] is
    /// reached.
    fn read_manifests(
        &self,
        manifests: Vec<DirEntry>,
        cache: &mut ManifestCache,
        max: Size,
        parse: impl Fn(&str, &[u8]) -> ParsedManifest,
        result: &mut ScanResult,
    ) {
        let mut kept = HashMap::with_capacity(manifests.len());
        let mut read = 0;
        for entry in manifests {
            let version = FileVersion::of(&entry);
            let mut cached =
                cache.manifests.remove(&version).unwrap_or_else(|| CachedFile::now(&entry));
            if cached.parsed.is_none() && entry.is_plain() {
                if read > MAX_READ_PER_SCAN {
                    result.unread = true;
                    break; // the next scan reads the later manifests
                }
                read += entry.size.min(max.bytes());
            }
            match self.content(&entry, &mut cached, max, &parse) {
                Ok(Some(content)) if !entry.is_manifest() && !is_misnamed(&content) => {}
                Ok(Some(content)) => {
                    let age = cached.age();
                    result.snapshot.manifests.push(ListedManifest { entry, content, age });
                }
                Ok(None) => result.changed = true,
                Err(problem) => result.problems.push(problem),
            }
            kept.insert(version, cached);
        }
        cache.manifests = kept;
    }

    /// Finds the data files that manifests name but that are missing in a truncated listing.
    fn find_data_files(&self, result: &mut ScanResult) {
        let listed: HashSet<_> =
            result.snapshot.files.iter().map(|file| file.name.as_str()).collect();
        let named = result.snapshot.manifests.iter().filter_map(ListedManifest::data_file);
        let found: Vec<_> = named
            .filter(|name| !listed.contains(name))
            .filter_map(|name| Some(DirEntry::new(name, &self.folder.stat(name).ok()?)))
            .collect();
        result.snapshot.files.extend(found);
    }

    /// Returns the content of a manifest. Returns `None` if the manifest changed after the
    /// listing.
    fn content(
        &self,
        entry: &DirEntry,
        cached: &mut CachedFile,
        max: Size,
        parse: impl Fn(&str, &[u8]) -> ParsedManifest,
    ) -> Result<Option<ManifestContent>, ScanError> {
        if entry.is_unlinked() {
            return Ok(None);
        }
        if !entry.is_plain() {
            return Ok(Some(ManifestContent::NotPlain));
        }
        if let Some(parsed) = &cached.parsed {
            return Ok(Some(ManifestContent::Read(parsed.clone())));
        }
        let lease = match self.lease(entry)? {
            OpenResult::Leased(lease) => lease,
            OpenResult::BeingWritten => return Ok(Some(ManifestContent::BeingWritten)),
            OpenResult::Changed => return Ok(None),
        };
        let failed = |error: io::Error| IoError::new("read", self.path(entry), error);
        let bytes = read_up_to(lease.file(), max.bytes()).map_err(failed)?;
        if !lease.is_unbroken().map_err(failed)? {
            return Ok(Some(ManifestContent::BeingWritten));
        }
        let parsed =
            bytes.map_or_else(|| too_large(entry, max), |bytes| parse(&entry.name, &bytes));
        cached.parsed = Some(parsed.clone());
        Ok(Some(ManifestContent::Read(parsed)))
    }

    /// Finds the data files of manifests that a process has open for writing.
    fn find_written_files(&self, result: &mut ScanResult) {
        let ScanResult { snapshot, problems, changed, .. } = result;
        let files = FileIndex::new(&snapshot.files);
        let being_written = &mut snapshot.being_written;
        snapshot.manifests.retain(|manifest| {
            let Some(file) = manifest.data_file().and_then(|name| files.find(name)) else {
                return true;
            };
            if file.is_unlinked() {
                *changed = true;
                return false;
            }
            if !file.is_plain() {
                return true;
            }
            match self.lease(file) {
                Ok(OpenResult::Leased(_)) => true,
                Ok(OpenResult::BeingWritten) => {
                    being_written.insert(file.name.clone());
                    true
                }
                Ok(OpenResult::Changed) => {
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

    /// Opens the file of the entry `entry` and acquires a read lease on the file.
    fn lease(&self, entry: &DirEntry) -> Result<OpenResult, ScanError> {
        let file = match self.opener.open(&self.place, &entry.name) {
            Ok(file) => file,
            // The file was removed, or the name now belongs to something other than a regular file
            // with one name.
            Err(Errno::ENOENT | Errno::ELOOP | Errno::ENXIO | Errno::ENODEV) => {
                return Ok(OpenResult::Changed);
            }
            Err(errno) => return Err(IoError::new("open", self.path(entry), errno).into()),
        };
        let stat = fstat(&file).map_err(IoError::of("read", self.path(entry)))?;
        let now = DirEntry::new(&entry.name, &stat);
        if FileVersion::of(&now) != FileVersion::of(entry) || !now.is_plain() {
            return Ok(OpenResult::Changed);
        }
        match self.opener.lease(file) {
            Ok(lease) => Ok(OpenResult::Leased(lease)),
            Err(LeaseError::Writer) => Ok(OpenResult::BeingWritten),
            Err(source) => Err(ScanError::Lease { path: self.path(entry), source }),
        }
    }

    fn path(&self, entry: &DirEntry) -> PathBuf {
        self.folder.path().join(&entry.name)
    }
}

fn sort_by_change(entries: &mut [DirEntry]) {
    entries.sort_by(|a, b| (a.ctime, &a.name).cmp(&(b.ctime, &b.name)));
}

/// Returns the files that may be manifests although they have another ending. The earliest file is
/// first.
fn possible_manifests(files: &[DirEntry], max: Size) -> Vec<DirEntry> {
    let may_be = |file: &&DirEntry| {
        file.is_plain() && file.size <= max.bytes() && right_name(&file.name).is_some()
    };
    let mut found: Vec<_> = files.iter().filter(may_be).cloned().collect();
    sort_by_change(&mut found);
    found
}

fn is_misnamed(content: &ManifestContent) -> bool {
    matches!(content, ManifestContent::Read(ParsedManifest::Misnamed { .. }))
}

/// Returns the ctime that a change of a file would have now, and the time until the next clock
/// tick.
fn clock_tick() -> nix::Result<(Timestamp, Duration)> {
    let time = |clock| clock_gettime(clock).map(Duration::from);
    let tick = time(ClockId::CLOCK_REALTIME_COARSE)?;
    let step = Duration::from(clock_getres(ClockId::CLOCK_REALTIME_COARSE)?);
    let passed = time(ClockId::CLOCK_REALTIME)?.saturating_sub(tick);
    let timestamp = Timestamp::UNIX_EPOCH.checked_add(tick).unwrap_or(Timestamp::MIN);
    Ok((timestamp, step.saturating_sub(passed)))
}

/// Records the time for which the data files of manifests have been unchanged.
fn remember_data_files(snapshot: &mut Snapshot, cache: &mut ManifestCache) {
    let files = FileIndex::new(&snapshot.files);
    let mut kept = HashMap::new();
    let named = snapshot.manifests.iter().filter_map(ListedManifest::data_file);
    for file in named.filter_map(|name| files.find(name)) {
        let version = FileVersion::of(file);
        let cached = cache.data_files.remove(&version).unwrap_or_else(|| CachedFile::now(file));
        // Another manifest may name the same data file.
        let cached = kept.entry(version).or_insert(cached);
        snapshot.ages.insert(file.name.clone(), cached.age());
    }
    cache.data_files = kept;
}

/// Reads a file. Returns `None` if the file is larger than `max` bytes.
fn read_up_to(file: &File, max: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= max).then_some(bytes))
}

fn too_large(entry: &DirEntry, max: Size) -> ParsedManifest {
    let findings = format!(
        "the manifest has {} bytes, but only {} bytes are allowed",
        entry.size,
        max.bytes()
    );
    ParsedManifest::Invalid { findings, values: ManifestValues::default() }
}

#[cfg(test)]
mod tests;
