//! `[imports]` and `[milestones]`: how imports run, and how often a long one says so.

use std::sync::OnceLock;

use serde::Deserialize;

use crate::config::{Period, Size};

/// `[milestones]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Milestones {
    /// A running import says so this often.
    pub still_processing_every: Period,
}

impl Default for Milestones {
    fn default() -> Self {
        Self { still_processing_every: Period::seconds(2 * 60 * 60) }
    }
}

/// `[imports]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Imports {
    /// How many imports run side by side, one per account at most. 0: one per core. One that has
    /// run for five seconds gives its place to the next: up to as many more, at least two.
    pub workers: usize,
    /// A running import that was cut off this often (crash, power) is set aside as failed.
    pub max_starts: u32,
    /// An import that the host failed (disk full, I/O error) is tried again for this long.
    pub retry_for: Period,
    /// With less than this free on the disk of accounts, state or store nothing is claimed or
    /// begun. Zero: never held.
    pub free_space_floor: Size,
}

impl Default for Imports {
    fn default() -> Self {
        Self {
            workers: 0,
            max_starts: 3,
            retry_for: Period::seconds(10 * 60),
            free_space_floor: Size::mb(500),
        }
    }
}

impl Imports {
    /// The number of workers to run: as configured, or the number of cores.
    pub fn worker_count(&self) -> usize {
        match self.workers {
            0 => cores(),
            n => n,
        }
    }
}

/// How many cores this process may use, by its affinity and its cgroup's quota. Asked once: the
/// answer takes ten system calls, and workers are counted at every turn of the supervisor.
pub fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}
