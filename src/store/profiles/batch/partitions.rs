//! Partitions of records. Each has the records of one range of profiles, in file order. The ranges
//! ascend.
//!
//! A partition fits into one run ([`MergeLimits::run`]), unless profiles have very different
//! numbers of records or the window is too large for [`MAX_PARTITIONS`].

use super::absorption::AbsorptionQueue;
use super::limits::MergeLimits;
use super::record_codec;
use super::spill::{Spill, SpillFile};
use crate::files::error::IoError;
use crate::store::profiles::identity::id_index::IdIndex;
use crate::store::profiles::identity::resolve::{Resolver, UNKNOWN};

/// The maximum number of partitions if the profiles of all records are known before.
const MAX_PARTITIONS: usize = 64;

/// The maximum number of partitions if records are assigned to profiles on arrival.
const MAX_STREAMING_PARTITIONS: usize = 192;

/// The records of an import, divided into partitions by profile.
#[derive(Debug)]
pub struct Partitions {
    /// The partitions up to the last partition that has records.
    partitions: Vec<Spill>,
    /// The smallest profile id in the first partition.
    first: i64,
    /// The number of profiles in each partition. The last partition has all remaining profiles.
    width: i64,
    max: usize,
    /// Whether the number of records was unknown when the partitions were created.
    is_streaming: bool,
    /// The size of a partition's buffer from which the buffer is spilled, in bytes.
    buffer: usize,
    /// The absorptions and records that are merged after the records of all partitions.
    pub absorptions: AbsorptionQueue,
}

impl Partitions {
    /// Returns partitions for the profiles with ids up to `last` and for any number of new
    /// profiles.
    pub fn for_streaming(limits: &MergeLimits, last: i64) -> Self {
        let max = MAX_STREAMING_PARTITIONS;
        // Half of the partitions are reserved for new profiles.
        let width = limits.profiles.max(last / (max / 2) as i64 + 1);
        Self {
            partitions: Vec::new(),
            first: 1,
            width,
            max,
            is_streaming: true,
            buffer: limits.run / max,
            absorptions: AbsorptionQueue::new(limits),
        }
    }

    /// Returns partitions for `bytes` of records. If the records are distributed evenly among the
    /// profiles, each partition fills about one run.
    pub fn for_size(
        limits: &MergeLimits,
        ids: &IdIndex,
        resolver: &Resolver,
        bytes: usize,
    ) -> Self {
        let mut first = resolver.last_profile + 1;
        // A new profile has at least one new id. In most cases, this id is of the same kind in all
        // records.
        let mut new = [0; 4];
        for ((kind, _), number) in ids.iter().zip(0..) {
            match resolver.profile(number) {
                UNKNOWN => new[kind as usize] += 1,
                known => first = first.min(known),
            }
        }
        let last = resolver.last_profile + new.into_iter().max().unwrap_or(0);
        Self::between(limits, first, last, bytes)
    }

    fn between(limits: &MergeLimits, first: i64, last: i64, bytes: usize) -> Self {
        let max = (bytes / limits.run + 1).min(MAX_PARTITIONS);
        let width = (last - first) / max as i64 + 1;
        Self {
            partitions: Vec::new(),
            first,
            width,
            max,
            is_streaming: false,
            buffer: limits.run / max,
            absorptions: AbsorptionQueue::new(limits),
        }
    }

    /// Adds a record of the profile `profile` to its partition. `push` appends the record to the
    /// buffer.
    pub fn push(
        &mut self,
        profile: i64,
        push: impl FnOnce(&mut Vec<u8>),
        spill: &mut SpillFile,
    ) -> Result<(), IoError> {
        if self.absorptions.has_winner(profile) {
            return self.absorptions.push(push, spill);
        }
        let index = ((profile - self.first) / self.width) as usize;
        let index = index.min(self.max - 1);
        if index >= self.partitions.len() {
            self.partitions.resize_with(index + 1, Spill::default);
        }
        let partition = &mut self.partitions[index];
        push(&mut partition.buffer);
        partition.spill_above(self.buffer, spill)
    }

    /// Returns the partitions in order. A partition that is larger than a run is divided again,
    /// because its size is known now.
    pub fn finish(
        self,
        limits: &MergeLimits,
        spill: &mut SpillFile,
    ) -> Result<Vec<Spill>, IoError> {
        if !self.is_streaming {
            return Ok(self.partitions);
        }
        let mut partitions = Vec::new();
        for (mut partition, n) in self.partitions.into_iter().zip(0..) {
            if partition.len() <= limits.run {
                partitions.push(partition);
                continue;
            }
            let first = self.first + n * self.width;
            let last = first + self.width - 1;
            let mut repartitioned = Self::between(limits, first, last, partition.len());
            while let Some(piece) = partition.take(spill, 1)? {
                let mut rest = piece.as_slice();
                while let Some((profile, body)) = record_codec::next_with_profile(&mut rest) {
                    let push =
                        |out: &mut _| record_codec::push_body_with_profile(out, profile, body);
                    repartitioned.push(profile, push, spill)?;
                }
            }
            // The buffers of one partition that is divided again take the memory of a run.
            repartitioned
                .partitions
                .iter_mut()
                .try_for_each(|partition| partition.spill_all(spill))?;
            partitions.append(&mut repartitioned.partitions);
        }
        Ok(partitions)
    }
}
