//! `[imports]` and `[milestones]`: how imports run, and how often a long one reports its progress.

use std::sync::OnceLock;

use serde::Deserialize;

use crate::config::{Period, Size};

/// `[milestones]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Milestones {
    /// The interval of a running import's progress reports.
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
    /// The number of imports that run side by side, at most one per account. 0: one per core. An
    /// import that has run for five seconds no longer counts; up to as many more may run then, at
    /// least two.
    pub workers: usize,
    /// An import that was interrupted this often (crash, power failure) fails.
    pub max_starts: u32,
    /// An import that failed because of the host (disk full, I/O error) is retried for this long.
    pub retry_for: Period,
    /// With less than this free on the disk of accounts, state or store, no import is claimed or
    /// started. Zero: no floor.
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
    /// Returns the configured number of workers, or the number of cores if it is 0.
    pub fn worker_count(&self) -> usize {
        match self.workers {
            0 => cores(),
            n => n,
        }
    }
}

/// Returns the number of cores that this process may use, by its affinity and its cgroup's quota.
///
/// It is determined once: that takes ten system calls, and the supervisor calls this in every
/// cycle.
pub fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}
