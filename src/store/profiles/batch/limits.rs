//! The memory limits of the profile merge.

/// The limits of memory, in bytes where not noted. Tests make them small.
#[derive(Clone, Copy, Debug)]
pub struct MergeLimits {
    /// The ids of a window, about. A window with more is full.
    pub ids: usize,
    /// The number of ids from which loading the whole table on another thread is worth it.
    pub load_from: usize,
    /// The buffer of waiting records, before it is spilled. A quarter for records with ids as text.
    pub waiting: usize,
    /// A run: the records of a partition that are sorted by profile in memory.
    pub run: usize,
    /// The number of profiles that are read, merged and stored as one chunk.
    pub chunk: usize,
    /// The minimum number of profiles of a partition, when records are assigned on arrival.
    pub profiles: i64,
}

impl Default for MergeLimits {
    fn default() -> Self {
        Self {
            ids: 128 << 20,
            load_from: 16 << 10,
            waiting: 4 << 20,
            run: 12 << 20,
            chunk: 256,
            profiles: 16 << 10,
        }
    }
}
