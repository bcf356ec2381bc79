//! [`Memory`]: what scans have read of an account's manifests, so that none is read twice, and when
//! each file was first seen as it is.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::entry::Entry;
use crate::spool::pairing::{Age, Verdict};

/// What is known of an account's manifests and data files, by content. Start with an empty one.
#[derive(Debug, Default)]
pub struct Memory {
    pub manifests: HashMap<Version, Remembered>,
    pub data_files: HashMap<Version, Remembered>,
}

/// One content of one file: any change of it changes the ctime.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    name: String,
    dev: u64,
    ino: u64,
    ctime: Timestamp,
}

/// One file's.
#[derive(Clone, Debug)]
pub struct Remembered {
    first_seen: Instant,
    age_then: Duration,
    /// What a manifest holds, once it was read.
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
