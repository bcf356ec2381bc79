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

/// The number of records whose ids are numbered as one group.
pub const GROUP: usize = 64;

/// The ids of a record, by kind.
pub type RecordIds<'a> = [Option<&'a str>; 4];

/// Records by profile, and the profile that each id belongs to after them.
#[derive(Debug)]
pub struct RecordRouter {
    pub resolver: Resolver,
    pub partitions: Partitions,
    /// The last records, not yet assigned, with their ids as text. Unless this is empty, new
    /// records must be appended to it.
    pub backlog: Spill,
}

impl RecordRouter {
    /// `profiles` has the profile of each stored id, by the id's number.
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
        // Loads the memory that the next step reads into the processor's cache.
        black_box(self.resolver.profiles(numbers.iter().copied()));
        let Self { resolver, partitions, .. } = self;
        for (n, numbers) in ids_by_record(records, &numbers).enumerate() {
            let numbers = numbers.iter().copied();
            let profile = resolve(resolver, numbers, ids, table, partitions, spill)?;
            partitions.push(profile, |out| push(n, profile, out), spill)?;
        }
        Ok(())
    }

    /// Assigns one piece of the records that are not assigned yet. Returns false if no such records
    /// remain.
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

/// Returns the profile of a record with the ids `numbers`. Profiles that lose their last id to this
/// record are absorbed before the record's own changes.
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

/// Returns the numbers of all ids of these records. At most [`GROUP`] records are allowed.
pub fn number_ids(ids: &mut IdIndex, records: &[RecordIds<'_>]) -> Vec<u32> {
    let keys: Vec<_> = records.iter().flat_map(record_keys).collect();
    ids.number_keys(&keys)
}

/// Divides `numbers` by record.
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

/// Returns a record's ids, strongest first.
fn record_keys<'a>(record: &RecordIds<'a>) -> impl Iterator<Item = IdKey<'a>> + use<'a> {
    IdKind::ALL.into_iter().zip(*record).filter_map(|(kind, id)| id.map(|id| (kind, id)))
}
