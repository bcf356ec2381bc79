//! [`ManifestCache`]: caches an account's parsed manifests, and when each file version was first
//! seen.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::entry::DirEntry;
use super::snapshot::{Age, ParsedManifest};

/// The cache of one account's manifests and data files, by version. The cache is empty after a
/// start.
#[derive(Debug, Default)]
pub struct ManifestCache {
    pub manifests: HashMap<FileVersion, CachedFile>,
    pub data_files: HashMap<FileVersion, CachedFile>,
    /// Uploads under temporary names.
    pub temporary: HashMap<FileVersion, CachedFile>,
}

/// One version of a file. Every change of the file changes the ctime.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileVersion {
    name: String,
    dev: u64,
    ino: u64,
    ctime: Timestamp,
}

/// The cached data about one file version.
#[derive(Clone, Debug)]
pub struct CachedFile {
    first_seen: Instant,
    age_then: Duration,
    /// Whether the last scan found it open for writing.
    was_open: bool,
    /// The result of parsing a manifest. `None` before it is read, and for data files.
    pub parsed: Option<ParsedManifest>,
}

impl FileVersion {
    pub fn of(entry: &DirEntry) -> Self {
        Self { name: entry.name.clone(), dev: entry.dev, ino: entry.ino, ctime: entry.ctime }
    }
}

impl CachedFile {
    pub fn now(entry: &DirEntry) -> Self {
        let age_then = Age::by_clock(entry.ctime, Timestamp::now());
        Self { first_seen: Instant::now(), age_then, was_open: false, parsed: None }
    }

    /// Records whether the file is open for writing. Its age begins when it is closed.
    pub fn note_writer(&mut self, is_open: bool) {
        if is_open || self.was_open {
            (self.first_seen, self.age_then) = (Instant::now(), Duration::ZERO);
        }
        self.was_open = is_open;
    }

    pub fn age(&self) -> Age {
        Age { then: self.age_then, since: self.first_seen.elapsed() }
    }
}
