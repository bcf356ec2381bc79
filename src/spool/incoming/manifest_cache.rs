//! [`Memory`]: caches an account's parsed manifests, and when each file version was first seen.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::entry::Entry;
use crate::spool::pairing::{Age, Verdict};

/// The cache of one account's manifests and data files, by version. Starts empty.
#[derive(Debug, Default)]
pub struct Memory {
    pub manifests: HashMap<Version, Remembered>,
    pub data_files: HashMap<Version, Remembered>,
}

/// One version of a file: every change changes the ctime.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    name: String,
    dev: u64,
    ino: u64,
    ctime: Timestamp,
}

/// What is cached of one file version.
#[derive(Clone, Debug)]
pub struct Remembered {
    first_seen: Instant,
    age_then: Duration,
    /// The result of parsing a manifest. `None` before it is read, and for data files.
    pub verdict: Option<Verdict>,
}

impl Version {
    pub fn of(entry: &Entry) -> Self {
        Self { name: entry.name.clone(), dev: entry.dev, ino: entry.ino, ctime: entry.ctime }
    }
}

impl Remembered {
    pub fn now(entry: &Entry) -> Self {
        let age_then = Age::by_clock(entry.ctime, Timestamp::now());
        Self { first_seen: Instant::now(), age_then, verdict: None }
    }

    pub fn age(&self) -> Age {
        Age { then: self.age_then, since: self.first_seen.elapsed() }
    }
}
