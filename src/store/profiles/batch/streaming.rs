//! Records that are led to their profiles as they come: it is known where every id of the table
//! leads. Those that came before it was known are caught up with while others come.

use std::hint::black_box;

use super::partitions::Parts;
use super::record_codec;
use super::spill::{Scratch, Spill};
use super::window::Limits;
use crate::records::IdKind;
use crate::store::Error;
use crate::store::profiles::identity::id_index::{Ids, Key};
use crate::store::profiles::identity::resolve::Leads;

/// How many records' ids are numbered at once.
pub const AT_ONCE: usize = 64;

/// A record's ids by kind.
pub type Named<'a> = [Option<&'a str>; 4];

/// The records by profile, and where ids lead after them.
#[derive(Debug)]
pub struct Resolved {
    pub leads: Leads,
    pub parts: Parts,
    /// The last records, still with their ids.
    behind: Spill,
}

impl Resolved {
    /// No records yet. `known` is where each id of the table leads, by its number.
    pub fn new(known: Vec<i64>, last_profile: i64, limits: &Limits) -> Self {
        let leads = Leads::new(known, last_profile);
        Self { leads, parts: Parts::open(limits, last_profile), behind: Spill::default() }
    }

    /// The records that are not resolved yet, if there are any: more go there, with their ids.
    pub fn behind(&mut self) -> Option<&mut Spill> {
        Some(&mut self.behind).filter(|behind| !behind.is_empty())
    }

    /// What is still behind, with its ids.
    pub fn take_behind(&mut self) -> Spill {
        std::mem::take(&mut self.behind)
    }

    /// Takes the next records of the file, [`AT_ONCE`] or fewer, which have these ids. `push` writes
    /// one of them, with its profile.
    ///
    /// # Errors
    /// The scratch file's.
    pub fn take(
        &mut self,
        ids: &mut Ids,
        records: &[Named<'_>],
        scratch: &mut Scratch,
        push: impl Fn(usize, i64, &mut Vec<u8>),
    ) -> Result<(), Error> {
        let numbers = number(ids, records);
        self.leads.grow(ids.len());
        // Fetches what is read below.
        black_box(self.leads.to_all(numbers.iter().copied()));
        for (n, numbers) in each(records, &numbers).enumerate() {
            let profile = self.leads.resolve(numbers.iter().copied());
            self.parts.push(profile, |out| push(n, profile, out), scratch)?;
        }
        Ok(())
    }

    /// Takes records that were staged with the numbers of their ids, each of which is another now.
    ///
    /// # Errors
    /// The scratch file's.
    pub fn take_numbered(
        &mut self,
        staged: Spill,
        number: impl Fn(u32) -> u32,
        scratch: &mut Scratch,
    ) -> Result<(), Error> {
        let Self { leads, parts, .. } = self;
        hand_out(staged, number, leads, parts, scratch)
    }

    /// Takes records that were staged with their ids, as they are caught up with.
    pub fn take_named(&mut self, staged: Spill) {
        self.behind = staged;
    }

    /// Catches up with some of the records that are behind. Returns whether there were any.
    ///
    /// # Errors
    /// The scratch file's.
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

/// Resolves records in file order that were staged with the numbers of their ids.
///
/// # Errors
/// The scratch file's.
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

/// The numbers of the ids of these records, [`AT_ONCE`] or fewer, one after the other.
pub fn number(ids: &mut Ids, records: &[Named<'_>]) -> Vec<u32> {
    let keys: Vec<_> = records.iter().flat_map(keys_of).collect();
    let mut numbers = Vec::with_capacity(keys.len());
    ids.number_all(&keys, &mut numbers);
    numbers
}

/// Each record's share of these numbers.
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

/// A record's ids, strongest first.
fn keys_of<'a>(record: &Named<'a>) -> impl Iterator<Item = Key<'a>> + use<'a> {
    IdKind::ALL.into_iter().zip(*record).filter_map(|(kind, id)| id.map(|id| (kind, id)))
}
