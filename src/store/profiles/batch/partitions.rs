//! Partitions: each has the records of a range of profiles, in file order. The ranges ascend.
//!
//! A partition fits into one run ([`Limits::slice`]), unless profiles have very different numbers
//! of records or the window is too large for [`MAX_PARTS`].

use super::record_codec;
use super::spill::{Scratch, Spill};
use super::window::Limits;
use crate::store::Error;
use crate::store::profiles::identity::id_index::Ids;
use crate::store::profiles::identity::resolve::{Leads, UNKNOWN};

/// The maximum number of partitions if the profiles of all records are known.
const MAX_PARTS: usize = 64;

/// The maximum number of partitions if records are assigned on arrival.
const MAX_OPEN_PARTS: usize = 192;

/// The records, partitioned by profile.
#[derive(Debug)]
pub struct Parts {
    /// The partitions up to the last used one.
    parts: Vec<Spill>,
    /// The least profile.
    first: i64,
    /// The number of profiles of a partition. The last one has all others.
    width: i64,
    max: usize,
    /// Whether the number of records was not known from the start.
    is_open: bool,
    /// The size at which the buffer of a partition is spilled, in bytes.
    buffer: usize,
}

impl Parts {
    /// Returns partitions for the profiles up to `last` and for any number of new ones.
    pub fn open(limits: &Limits, last: i64) -> Self {
        let max = MAX_OPEN_PARTS;
        // Half of them are for new profiles.
        let width = limits.profiles.max(last / (max / 2) as i64 + 1);
        Self { parts: Vec::new(), first: 1, width, max, is_open: true, buffer: limits.slice / max }
    }

    /// Returns partitions of about one run each for `bytes` of records, if those are distributed
    /// evenly among the profiles.
    pub fn of_known(limits: &Limits, ids: &Ids, leads: &Leads, bytes: usize) -> Self {
        let mut first = leads.last_profile() + 1;
        // A new profile has at least one new id. Most often that is of the same kind for all.
        let mut new = [0; 4];
        for ((kind, _), number) in ids.iter().zip(0..) {
            match leads.to(number) {
                UNKNOWN => new[kind as usize] += 1,
                known => first = first.min(known),
            }
        }
        let last = leads.last_profile() + new.into_iter().max().unwrap_or(0);
        Self::between(limits, first, last, bytes)
    }

    fn between(limits: &Limits, first: i64, last: i64, bytes: usize) -> Self {
        let max = (bytes / limits.slice + 1).min(MAX_PARTS);
        let width = (last - first) / max as i64 + 1;
        Self { parts: Vec::new(), first, width, max, is_open: false, buffer: limits.slice / max }
    }

    /// Adds a record of `profile`. `push` appends it to the buffer.
    pub fn push(
        &mut self,
        profile: i64,
        push: impl FnOnce(&mut Vec<u8>),
        scratch: &mut Scratch,
    ) -> Result<(), Error> {
        let index = ((profile - self.first) / self.width) as usize;
        let index = index.min(self.max - 1);
        if index >= self.parts.len() {
            self.parts.resize_with(index + 1, Spill::default);
        }
        let part = &mut self.parts[index];
        push(&mut part.buffer);
        part.spill_above(self.buffer, scratch)
    }

    /// Returns the partitions in order. Those larger than a run are partitioned again, now that
    /// their size is known.
    pub fn finish(self, limits: &Limits, scratch: &mut Scratch) -> Result<Vec<Spill>, Error> {
        if !self.is_open {
            return Ok(self.parts);
        }
        let mut parts = Vec::new();
        for (part, n) in self.parts.into_iter().zip(0..) {
            if part.len() <= limits.slice {
                parts.push(part);
                continue;
            }
            let first = self.first + n * self.width;
            let last = first + self.width - 1;
            let mut smaller = Self::between(limits, first, last, part.len());
            let mut pieces = part.pieces();
            while let Some(piece) = pieces.next(scratch, 1)? {
                let mut rest = piece.as_slice();
                while let Some((profile, body)) = record_codec::next_with_profile(&mut rest) {
                    let push = |out: &mut _| record_codec::push_with_profile(out, profile, body);
                    smaller.push(profile, push, scratch)?;
                }
            }
            // The buffers of one repartitioned partition take the memory of a run.
            smaller.parts.iter_mut().try_for_each(|part| part.write_out(scratch))?;
            parts.append(&mut smaller.parts);
        }
        Ok(parts)
    }
}
