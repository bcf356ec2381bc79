//! Streaming mode: assigns each record to its profile on arrival, because all stored ids are known.
//! Records that arrived while the ids were being loaded are assigned in pieces, between new
//! records.

use std::hint::black_box;

use super::limits::MergeLimits;
use super::partitions::Partitions;
use super::record_codec;
use super::spill::{Spill, SpillFile};
use crate::records::IdKind;
use crate::store::error::Error;
use crate::store::profiles::identity::id_counts::IdCounts;
use crate::store::profiles::identity::id_index::{IdIndex, IdKey};
use crate::store::profiles::identity::resolve::Resolver;
use crate::store::profiles::table::ProfileTable;

/// The number of records whose ids get their numbers as one group.
pub const GROUP: usize = 64;

/// The ids of a record, indexed by kind.
pub type RecordIds<'a> = [Option<&'a str>; 4];

/// Assigns records to profiles on arrival. Has the records by profile, and the profile that each
/// id belongs to after these records.
#[derive(Debug)]
pub struct RecordRouter {
    pub resolver: Resolver,
    pub partitions: Partitions,
    /// The last records, which are not assigned to profiles yet, with their ids as text. If the
    /// backlog is not empty, new records must be appended to it.
    pub backlog: Spill,
}

impl RecordRouter {
    /// Creates a router. `profiles` has the profile of each stored id. The index is the number of
    /// the id.
    pub fn new(profiles: Vec<i64>, last_profile: i64, limits: &MergeLimits) -> Self {
        Self {
            resolver: Resolver::new(profiles, last_profile),
            partitions: Partitions::for_streaming(limits, last_profile),
            backlog: Spill::default(),
        }
    }

    /// Assigns the next records of the file, at most [`GROUP`]. `records` are the ids of these
    /// records. `push` appends the record with the given index and its profile to a buffer.
    pub fn assign(
        &mut self,
        ids: &mut IdIndex,
        records: &[RecordIds<'_>],
        table: &impl ProfileTable,
        spill: &mut SpillFile,
        push: impl Fn(usize, i64, &mut Vec<u8>),
    ) -> Result<(), Error> {
        let numbers = number_ids(ids, records);
        self.resolver.grow(ids.len());
        // This call loads the memory that the next step reads into the cache of the processor.
        black_box(self.resolver.profiles(numbers.iter().copied()));
        let Self { resolver, partitions, .. } = self;
        for (n, numbers) in ids_by_record(records, &numbers).enumerate() {
            let numbers = numbers.iter().copied();
            let profile = resolve(resolver, numbers, ids, table, partitions, spill)?;
            partitions.push(profile, |out| push(n, profile, out), spill)?;
        }
        Ok(())
    }

    /// Assigns some of the records in the backlog to their profiles. Returns false if the backlog
    /// is empty.
    pub fn assign_next_piece(
        &mut self,
        ids: &mut IdIndex,
        table: &impl ProfileTable,
        spill: &mut SpillFile,
    ) -> Result<bool, Error> {
        let Some(piece) = self.backlog.take(spill, 1)? else { return Ok(false) };
        let mut rest = piece.as_slice();
        while !rest.is_empty() {
            let (texts, bodies) = record_codec::next_group_with_texts(&mut rest, GROUP);
            let push = |n: usize, profile, out: &mut _| {
                record_codec::push_body_with_profile(out, profile, bodies[n]);
            };
            self.assign(ids, &texts, table, spill, push)?;
        }
        Ok(true)
    }
}

/// Assigns records, in file order, that have numbers as ids. `renumber` maps these numbers to those
/// of `resolver`, which are the numbers of `ids`.
pub fn assign_staged(
    mut records: Spill,
    renumber: impl Fn(u32) -> u32,
    (resolver, ids): (&mut Resolver, &IdIndex),
    partitions: &mut Partitions,
    table: &impl ProfileTable,
    spill: &mut SpillFile,
) -> Result<(), Error> {
    while let Some(piece) = records.take(spill, 1)? {
        let mut rest = piece.as_slice();
        while let Some((numbers, body)) = record_codec::next_with_numbers(&mut rest) {
            let numbers = numbers.map(&renumber);
            let profile = resolve(resolver, numbers, ids, table, partitions, spill)?;
            let push = |out: &mut _| record_codec::push_body_with_profile(out, profile, body);
            partitions.push(profile, push, spill)?;
        }
    }
    Ok(())
}

/// Returns the profile of a record that has the ids `numbers`. Profiles that lose their last id to
/// the record are absorbed before the changes of the record are applied.
#[inline]
fn resolve(
    resolver: &mut Resolver,
    numbers: impl Iterator<Item = u32> + Clone,
    ids: &IdIndex,
    table: &impl ProfileTable,
    partitions: &mut Partitions,
    spill: &mut SpillFile,
) -> Result<i64, Error> {
    let count_stored = |counts: &mut IdCounts| {
        table.scan_owners(|profile, is_identity| counts.add_stored(profile, is_identity))
    };
    let profile = resolver.resolve(numbers, ids, count_stored)?;
    if !resolver.absorbed.is_empty() {
        for loser in resolver.absorbed.drain(..) {
            partitions.absorptions.absorb(profile, loser, spill)?;
        }
    }
    Ok(profile)
}

/// Returns the numbers of all ids of `records`. At most [`GROUP`] records are allowed.
pub fn number_ids(ids: &mut IdIndex, records: &[RecordIds<'_>]) -> Vec<u32> {
    let keys: Vec<_> = records.iter().flat_map(record_keys).collect();
    ids.number_keys(&keys)
}

/// Divides the list `numbers` into one part for each record.
pub fn ids_by_record<'a>(
    records: &'a [RecordIds<'_>],
    mut numbers: &'a [u32],
) -> impl Iterator<Item = &'a [u32]> {
    records.iter().map(move |record| {
        let (own, rest) = numbers.split_at(record.iter().flatten().count());
        numbers = rest;
        own
    })
}

/// Returns the ids of a record, the strongest id first.
fn record_keys<'a>(record: &RecordIds<'a>) -> impl Iterator<Item = IdKey<'a>> + use<'a> {
    IdKind::ALL.into_iter().zip(*record).filter_map(|(kind, id)| id.map(|id| (kind, id)))
}
