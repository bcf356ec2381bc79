//! Absorptions: a profile without an id passes the properties that the winner lacks on to it, and
//! is removed.
//!
//! The winner needs the final properties of the absorbed profile, which can be in another
//! partition. Therefore an absorption, and all later records of the winner, are merged after the
//! partitions, one by one in file order. An absorbed profile has no later records, so it is final
//! then.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::limits::MergeLimits;
use super::record_codec;
use super::spill::{Spill, SpillFile};
use crate::files::error::IoError;
use crate::store::error::Error;
use crate::store::profiles::properties::merge::Merger;
use crate::store::profiles::rows::Profiles;
use crate::store::profiles::table::ProfileTable;

/// A queue of absorptions of profiles, and of the later records of the winning profiles, in file
/// order.
#[derive(Debug)]
pub struct AbsorptionQueue {
    winners: HashSet<i64>,
    entries: Spill,
    /// The number of profiles that were absorbed.
    count: u64,
    /// The size of the queue's buffer from which the buffer is spilled, in bytes.
    buffer: usize,
    /// The maximum memory of the profiles in memory, in bytes.
    max_bytes: usize,
}

/// A cache of profiles in memory. The profiles are stored when their memory exceeds the limit.
struct ProfileCache<'a, T> {
    table: &'a T,
    merger: Merger,
    profiles: BTreeMap<i64, CachedProfile>,
    removed: BTreeSet<i64>,
    /// The approximate memory of the profiles that were added since the cache was last stored, in
    /// bytes.
    bytes: usize,
}

/// A cached profile in the form in which it will be stored.
struct CachedProfile {
    properties: String,
    created_at: i64,
    updated_at: i64,
}

impl AbsorptionQueue {
    pub fn new(limits: &MergeLimits) -> Self {
        Self {
            winners: HashSet::new(),
            entries: Spill::NONE,
            count: 0,
            buffer: limits.waiting,
            max_bytes: limits.run,
        }
    }

    /// Adds the absorption of the profile `loser` by the profile `winner`.
    pub fn absorb(
        &mut self,
        winner: i64,
        loser: i64,
        spill: &mut SpillFile,
    ) -> Result<(), IoError> {
        self.winners.insert(winner);
        self.count += 1;
        self.push(|out| record_codec::push_absorption(out, winner, loser), spill)
    }

    /// Returns whether `profile` absorbed another profile. The records of such a profile must be
    /// pushed to this queue.
    #[inline]
    pub fn has_winner(&self, profile: i64) -> bool {
        !self.winners.is_empty() && self.winners.contains(&profile)
    }

    /// Adds a record and its profile to the queue. `push` appends the record to the buffer.
    pub fn push(
        &mut self,
        push: impl FnOnce(&mut Vec<u8>),
        spill: &mut SpillFile,
    ) -> Result<(), IoError> {
        push(&mut self.entries.buffer);
        self.entries.spill_above(self.buffer, spill)
    }

    /// Merges all entries of the queue into `table`, which has the records of the partitions.
    /// Returns the number of absorbed profiles.
    pub fn merge(
        mut self,
        spill: &SpillFile,
        table: &impl ProfileTable,
        merger: &Merger,
    ) -> Result<u64, Error> {
        let mut cache = ProfileCache::new(table, merger);
        while let Some(piece) = self.entries.take(spill, 1)? {
            let mut rest = piece.as_slice();
            while let Some((profile, entry)) = record_codec::next_with_absorption(&mut rest) {
                match entry {
                    Ok(body) => cache.apply(profile, body)?,
                    Err(loser) => cache.absorb(profile, loser)?,
                }
                if cache.bytes > self.max_bytes {
                    cache.store()?;
                }
            }
        }
        cache.store()?;
        Ok(self.count)
    }
}

impl<'a, T: ProfileTable> ProfileCache<'a, T> {
    fn new(table: &'a T, merger: &Merger) -> Self {
        let merger = merger.clone();
        Self { table, merger, profiles: BTreeMap::new(), removed: BTreeSet::new(), bytes: 0 }
    }

    /// Removes a profile from the cache, or loads the profile. Returns `None` if the profile has
    /// no record yet.
    fn take(&mut self, id: i64) -> Result<Option<CachedProfile>, Error> {
        if let Some(profile) = self.profiles.remove(&id) {
            return Ok(Some(profile));
        }
        let (found, _) = self.table.load_profiles(&[id], 0)?;
        let profile = found.iter().next().map(|profile| CachedProfile {
            properties: profile.properties.to_owned(),
            created_at: profile.created_at,
            updated_at: profile.updated_at,
        });
        Ok(profile)
    }

    fn put(&mut self, id: i64, profile: CachedProfile) {
        self.bytes += profile.properties.len() + size_of::<CachedProfile>();
        self.profiles.insert(id, profile);
    }

    /// Applies the changes of a record to the profile with the id `id`.
    fn apply(&mut self, id: i64, body: &[u8]) -> Result<(), Error> {
        let at = record_codec::time(body);
        let before = self.take(id)?;
        let before = before.unwrap_or_else(|| CachedProfile {
            properties: "{}".to_owned(),
            created_at: at,
            updated_at: at,
        });
        let mut properties = String::with_capacity(before.properties.len());
        self.merger
            .merge_packed(&before.properties, record_codec::changes(body), &mut properties)
            .map_err(|source| self.table.invalid_properties(id, source))?;
        let created_at = before.created_at.min(at);
        let updated_at = before.updated_at.max(at);
        self.put(id, CachedProfile { properties, created_at, updated_at });
        Ok(())
    }

    fn absorb(&mut self, winner_id: i64, loser_id: i64) -> Result<(), Error> {
        let loser = self.take(loser_id)?;
        self.removed.insert(loser_id);
        self.bytes += size_of::<i64>();
        let Some(loser) = loser else { return Ok(()) };
        let Some(winner) = self.take(winner_id)? else {
            self.put(winner_id, loser);
            return Ok(());
        };
        let table = self.table;
        let invalid = |id| move |source| table.invalid_properties(id, source);
        let own = self.merger.parse(&winner.properties).map_err(invalid(winner_id))?;
        let other = self.merger.parse(&loser.properties).map_err(invalid(loser_id))?;
        let mut properties = String::with_capacity(winner.properties.len());
        self.merger.push_union(own, other, &mut properties);
        let created_at = winner.created_at.min(loser.created_at);
        let updated_at = winner.updated_at.max(loser.updated_at);
        self.put(winner_id, CachedProfile { properties, created_at, updated_at });
        Ok(())
    }

    /// Stores all profiles of the cache and empties the cache.
    fn store(&mut self) -> Result<(), Error> {
        let mut profiles = Profiles::default();
        for (id, profile) in std::mem::take(&mut self.profiles) {
            profiles.text.push_str(&profile.properties);
            profiles.add(id, profile.created_at, profile.updated_at);
        }
        self.table.store_profiles(&profiles)?;
        self.table.remove_profiles(&std::mem::take(&mut self.removed))?;
        self.bytes = 0;
        Ok(())
    }
}
