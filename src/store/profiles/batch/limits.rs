//! The memory limits of the profile merge.

/// The limits of memory, in bytes unless noted. Tests use small limits.
#[derive(Clone, Copy, Debug)]
pub struct MergeLimits {
    /// The approximate memory of a window's ids. A window above this limit is full.
    pub ids: usize,
    /// From this number of ids, another thread loads the whole table.
    pub load_from: usize,
    /// The size of the buffer of waiting records at which it is spilled. Records with ids as text
    /// use a quarter.
    pub waiting: usize,
    /// The size of a run: the records of a partition that are sorted by profile in memory.
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
