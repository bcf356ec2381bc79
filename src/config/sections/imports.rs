//! The sections `[imports]` and `[milestones]` of the configuration file set how imports run, and
//! how often a long import reports its progress.

use std::sync::OnceLock;

use serde::Deserialize;

use crate::config::{Period, Size};

/// The section `[milestones]` of the configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Milestones {
    /// The interval between two progress reports of a running import.
    pub still_processing_every: Period,
}

impl Default for Milestones {
    fn default() -> Self {
        Self { still_processing_every: Period::seconds(2 * 60 * 60) }
    }
}

/// The section `[imports]` of the configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Imports {
    /// The number of imports that run at the same time. 0 means one import per core. One account
    /// can have only one running import. An import that has run for five seconds no longer counts.
    /// The same number of such imports may run in addition, or two if the number is 1. Small
    /// imports have four further slots per worker, because they mostly wait for the disk.
    pub workers: usize,
    /// The number of interruptions, such as crashes and power failures, after which an import
    /// fails.
    pub max_starts: u32,
    /// The period during which an import is retried after an error of the host, such as a full disk
    /// or an I/O error.
    pub retry_for: Period,
    /// The minimum of free space on the disks of accounts, state and store. With less free space no
    /// import is claimed or started. Zero means no minimum.
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
    /// Returns the configured number of workers, or the number of cores if 0 is configured.
    pub fn worker_count(&self) -> usize {
        match self.workers {
            0 => cores(),
            n => n,
        }
    }
}

/// Returns the number of cores that this process may use. The number respects the CPU affinity of
/// the process and the quota of its cgroup.
///
/// The number is determined only once, because this takes ten system calls and the supervisor calls
/// this function in every cycle.
pub fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}
