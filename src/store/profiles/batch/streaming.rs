//! Streaming mode: assigns each record to its profile on arrival, since all ids of the table are
//! known. Records that arrived before they were known are processed piece by piece between new ones.

use std::hint::black_box;

use super::partitions::Parts;
use super::record_codec;
use super::spill::{Scratch, Spill};
use super::window::Limits;
use crate::records::IdKind;
use crate::store::Error;
use crate::store::profiles::identity::id_index::{Ids, Key};
use crate::store::profiles::identity::resolve::Leads;

/// The number of records whose ids are numbered as one group.
pub const AT_ONCE: usize = 64;

/// The ids of a record, by kind.
pub type Named<'a> = [Option<&'a str>; 4];

/// Records by profile, and the profile of each id after them.
#[derive(Debug)]
pub struct Resolved {
    pub leads: Leads,
    pub parts: Parts,
    /// The last records, not yet assigned, with their ids as text.
    behind: Spill,
}

impl Resolved {
    /// `known` is the profile of each id of the table, by the id's number.
    pub fn new(known: Vec<i64>, last_profile: i64, limits: &Limits) -> Self {
        let leads = Leads::new(known, last_profile);
        Self { leads, parts: Parts::open(limits, last_profile), behind: Spill::default() }
    }

    /// Returns the records that are not assigned yet, `None` if there are none. New records must be
    /// appended to them.
    pub fn behind(&mut self) -> Option<&mut Spill> {
        Some(&mut self.behind).filter(|behind| !behind.is_empty())
    }

    /// Takes the records that are not assigned yet.
    pub fn take_behind(&mut self) -> Spill {
        std::mem::take(&mut self.behind)
    }

    /// Assigns the next records of the file, at most [`AT_ONCE`], which have the ids `records`.
    /// `push` appends the record with the given index and its profile to a buffer.
    pub fn take(
        &mut self,
        ids: &mut Ids,
        records: &[Named<'_>],
        scratch: &mut Scratch,
        push: impl Fn(usize, i64, &mut Vec<u8>),
    ) -> Result<(), Error> {
        let numbers = number(ids, records);
        self.leads.grow(ids.len());
        // Loads into the cache what is read below.
        black_box(self.leads.to_all(numbers.iter().copied()));
        for (n, numbers) in each(records, &numbers).enumerate() {
            let profile = self.leads.resolve(numbers.iter().copied());
            self.parts.push(profile, |out| push(n, profile, out), scratch)?;
        }
        Ok(())
    }

    /// Assigns records that were staged with numbers for their ids. `number` maps an old number to
    /// the new one.
    pub fn take_numbered(
        &mut self,
        staged: Spill,
        number: impl Fn(u32) -> u32,
        scratch: &mut Scratch,
    ) -> Result<(), Error> {
        let Self { leads, parts, .. } = self;
        hand_out(staged, number, leads, parts, scratch)
    }

    /// Sets the records that are not assigned yet. They were staged with their ids as text.
    pub fn take_named(&mut self, staged: Spill) {
        self.behind = staged;
    }

    /// Assigns one piece of the records that are not assigned yet. Returns false if there are none.
    pub fn catch_up(&mut self, ids: &mut Ids, scratch: &mut Scratch) -> Result<bool, Error> {
        let Some(piece) = self.behind.take_first(scratch)? else { return Ok(false) };
        let mut rest = piece.as_slice();
        while !rest.is_empty() {
            let some =
                std::iter::from_fn(|| record_codec::next_with_names(&mut rest)).take(AT_ONCE);
            let (names, bodies): (Vec<_>, Vec<_>) = some.unzip();
            let push = |n: usize, profile, out: &mut _| {
                record_codec::push_with_profile(out, profile, bodies[n]);
            };
            self.take(ids, &names, scratch, push)?;
        }
        Ok(true)
    }
}

/// Assigns records, in file order, that were staged with numbers for their ids.
pub fn hand_out(
    staged: Spill,
    number: impl Fn(u32) -> u32,
    leads: &mut Leads,
    parts: &mut Parts,
    scratch: &mut Scratch,
) -> Result<(), Error> {
    let mut pieces = staged.pieces();
    while let Some(piece) = pieces.next(scratch, 1)? {
        let mut rest = piece.as_slice();
        while let Some(record) = record_codec::next_with_ids(&mut rest) {
            let profile = leads.resolve(record.ids().map(&number));
            let push = |out: &mut _| record_codec::push_with_profile(out, profile, record.body);
            parts.push(profile, push, scratch)?;
        }
    }
    Ok(())
}

/// Returns the numbers of all ids of these records, at most [`AT_ONCE`] records.
pub fn number(ids: &mut Ids, records: &[Named<'_>]) -> Vec<u32> {
    let keys: Vec<_> = records.iter().flat_map(keys_of).collect();
    let mut numbers = Vec::with_capacity(keys.len());
    ids.number_all(&keys, &mut numbers);
    numbers
}

/// Divides `numbers` by record.
pub fn each<'a>(
    records: &'a [Named<'_>],
    mut numbers: &'a [u32],
) -> impl Iterator<Item = &'a [u32]> {
    records.iter().map(move |record| {
        let (own, rest) = numbers.split_at(record.iter().flatten().count());
        numbers = rest;
        own
    })
}

/// Returns a record's ids, strongest first.
fn keys_of<'a>(record: &Named<'a>) -> impl Iterator<Item = Key<'a>> + use<'a> {
    IdKind::ALL.into_iter().zip(*record).filter_map(|(kind, id)| id.map(|id| (kind, id)))
}
