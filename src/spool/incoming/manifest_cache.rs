//! [`ManifestCache`]: caches an account's parsed manifests, and the time at which each version of
//! a file was first found.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::entry::DirEntry;
use super::snapshot::{Age, ParsedManifest};

/// The cache of one account's manifests and data files. The keys are versions of files. The cache
/// is empty after a start of the daemon.
#[derive(Debug, Default)]
pub struct ManifestCache {
    pub manifests: HashMap<FileVersion, CachedFile>,
    pub data_files: HashMap<FileVersion, CachedFile>,
    /// The data files that are being uploaded under temporary names.
    pub temporary: HashMap<FileVersion, CachedFile>,
}

/// One version of a file. Every change of the file changes the ctime, and thus results in a new
/// version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileVersion {
    name: String,
    dev: u64,
    ino: u64,
    ctime: Timestamp,
}

/// The cached data about one version of a file.
#[derive(Clone, Debug)]
pub struct CachedFile {
    first_seen: Instant,
    age_then: Duration,
    /// Whether a process had the file open for writing at the last scan.
    was_open: bool,
    /// The result of parsing the manifest. `None` for data files, and for a manifest that was not
    /// read yet.
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

    /// Records whether a process has the file open for writing. The age of the file begins when
    /// the file is closed.
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
