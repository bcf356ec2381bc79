//! The memory limits of the profile merge.

/// The limits on the memory of the profile merge. They are in bytes unless stated otherwise. Tests
/// use small limits.
#[derive(Clone, Copy, Debug)]
pub struct MergeLimits {
    /// The approximate maximum memory of a window's ids, in bytes. A window above this limit is
    /// full.
    pub ids: usize,
    /// The number of ids from which another thread loads the whole table of ids.
    pub load_from: usize,
    /// The size of the buffer of waiting records from which the buffer is spilled, in bytes. For
    /// records with ids as text, a quarter of this size applies.
    pub waiting: usize,
    /// The maximum size of a run, in bytes. A run has those records of a partition that are sorted
    /// by profile in memory.
    pub run: usize,
    /// The number of profiles that are read, merged and stored as one chunk.
    pub chunk: usize,
    /// The minimum number of profiles in a partition if records are assigned to profiles on
    /// arrival.
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
