//! [`Memory`]: what looks have read of an account's manifests, so that none is read twice.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::digest::Digest;
use super::entry::Entry;
use super::pair::{Age, Verdict};

/// What was read of an account's manifests, by content. Start with an empty one.
#[derive(Debug, Default)]
pub struct Memory(pub(super) HashMap<Version, Remembered>);

/// One content of one file: any change of it changes the ctime.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Version {
    name: String,
    dev: u64,
    ino: u64,
    ctime: Timestamp,
}

/// One manifest's.
#[derive(Clone, Debug)]
pub(super) struct Remembered {
    first_seen: Instant,
    age_then: Duration,
    pub(super) read: Option<Read>,
}

/// What was read.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) verdict: Verdict,
    /// None: it is too large to be read.
    pub(super) digest: Option<Digest>,
}

impl Version {
    pub(super) fn of(entry: &Entry) -> Self {
        Self { name: entry.name.clone(), dev: entry.dev, ino: entry.ino, ctime: entry.ctime }
    }
}

impl Remembered {
    pub(super) fn now(entry: &Entry) -> Self {
        let age_then = Age::by_clock(entry.ctime, Timestamp::now());
        Self { first_seen: Instant::now(), age_then, read: None }
    }

    pub(super) fn age(&self) -> Age {
        Age { then: self.age_then, since: self.first_seen.elapsed() }
    }
}
