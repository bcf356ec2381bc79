//! Records of one window: gathered with their ids numbered, then led to their profiles.
//!
//! Which profile a record means depends on the records before it. So they wait until all ids of
//! the window are known, are resolved in file order, and are handed out to parts by their
//! profile. Each part then goes through its share of the profile table, in order ([`sweep`]).
//! Memory is bounded by [`Limits`]; what is above them waits in a [`Scratch`] file.

use std::path::PathBuf;

use super::super::super::{Committed, Error};
use super::database::Database;
use super::ids::Ids;
use super::merge::Merger;
use super::resolve::{Leads, UNKNOWN};
use super::scratch::{Scratch, Spill};
use super::{staged, sweep};
use crate::records::{IdKind, ProfileBatch, ProfileRecord};

/// How much may be in memory, in bytes; tests make them small.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Ids of a window, about: it is full then.
    pub ids: usize,
    /// Staged records before their first write to the scratch file.
    pub staged: usize,
    /// Records of a part that are merged at once.
    pub slice: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { ids: 144 << 20, staged: 4 << 20, slice: 12 << 20 }
    }
}

/// How many records' ids are numbered at once.
const AT_ONCE: usize = 64;

/// An import too large for this many parts goes through a part several times.
const MAX_PARTS: usize = 64;

/// Some of an import's records, in file order.
#[derive(Debug)]
pub struct Window {
    limits: Limits,
    ids: Ids,
    staged: Spill,
    records: u64,
    scratch: Scratch,
}

/// The records by profile: each part has the profiles above those of the part before.
struct Parts {
    parts: Vec<Spill>,
    first: i64,
    /// How many profiles a part has; the last has the rest.
    width: i64,
    /// When a part's buffer is written, in bytes.
    buffer: usize,
}

impl Window {
    /// An empty one, with `scratch` as the name of its file.
    pub fn new(scratch: PathBuf, limits: Limits) -> Self {
        let (ids, staged) = Default::default();
        Self { limits, ids, staged, records: 0, scratch: Scratch::new(scratch) }
    }

    /// Takes these records.
    ///
    /// # Errors
    /// The scratch file can't be written.
    pub fn push(&mut self, batch: &ProfileBatch) -> Result<(), Error> {
        let (mut keys, mut numbers) = (Vec::new(), Vec::new());
        let mut records = batch.iter();
        loop {
            let some: Vec<_> = records.by_ref().take(AT_ONCE).collect();
            if some.is_empty() {
                return Ok(());
            }
            keys.clear();
            keys.extend(some.iter().flat_map(ids_of));
            self.ids.number_all(&keys, &mut numbers);
            let mut numbers = numbers.iter().copied();
            for record in &some {
                let count = ids_of(record).count();
                let numbers = numbers.by_ref().take(count);
                staged::push_with_ids(&mut self.staged.buffer, numbers, record);
            }
            self.records += some.len() as u64;
            self.staged.spill_above(self.limits.staged, &mut self.scratch)?;
        }
    }

    /// Whether it should be merged now.
    pub fn is_full(&self) -> bool {
        self.ids.bytes() >= self.limits.ids
    }

    /// Merges its records into `database` and is empty afterwards. `last_profile` is the greatest
    /// profile id, before and after.
    ///
    /// # Errors
    /// The scratch file's, or the database's, or that of a profile that can't be merged.
    pub fn merge(
        &mut self,
        database: &Database,
        merger: &mut Merger,
        last_profile: &mut i64,
    ) -> Result<Committed, Error> {
        let mut ids = std::mem::take(&mut self.ids);
        let staged = std::mem::take(&mut self.staged);
        let mut leads = Leads::new(database.look_up(&ids, *last_profile)?, *last_profile);
        ids.seal();
        let mut parts = Parts::new(&ids, &leads, staged.len(), self.limits.slice);
        self.hand_out(staged, &mut leads, &mut parts)?;
        let order = sweep::Sweep { last_stored: *last_profile, slice: self.limits.slice }.run(
            parts.parts,
            &self.scratch,
            database,
            merger,
            || ids.in_key_order(|id| leads.is_changed(id)),
        )?;
        database.lead(order.iter().map(|&number| {
            let (kind, value) = ids.get(number);
            (kind, value, leads.to(number))
        }))?;
        self.scratch.clear()?;
        *last_profile = leads.last_profile();
        let records = std::mem::take(&mut self.records);
        Ok(Committed { records, moved_ids: leads.moved() })
    }

    /// Resolves the records in file order.
    fn hand_out(
        &mut self,
        staged: Spill,
        leads: &mut Leads,
        parts: &mut Parts,
    ) -> Result<(), Error> {
        let mut pieces = staged.pieces();
        while let Some(piece) = pieces.next(&self.scratch, 1)? {
            let mut rest = piece.as_slice();
            while let Some(record) = staged::next_with_ids(&mut rest) {
                let profile = leads.resolve(record.ids());
                parts.push(profile, record.body, &mut self.scratch)?;
            }
        }
        Ok(())
    }
}

/// A record's ids, strongest first.
fn ids_of<'a>(record: &ProfileRecord<'a>) -> impl Iterator<Item = (IdKind, &'a str)> + use<'a> {
    IdKind::ALL.into_iter().zip(record.ids).filter_map(|(kind, id)| id.map(|id| (kind, id)))
}

impl Parts {
    /// Parts of about `slice` bytes, if profiles have `bytes` of records evenly.
    fn new(ids: &Ids, leads: &Leads, bytes: usize, slice: usize) -> Self {
        let mut first = leads.last_profile() + 1;
        // A new profile has a new id; most often all have one of the same kind.
        let mut new = [0; 4];
        for ((kind, _), number) in ids.iter().zip(0..) {
            match leads.to(number) {
                UNKNOWN => new[kind as usize] += 1,
                known => first = first.min(known),
            }
        }
        let last = leads.last_profile() + new.into_iter().max().unwrap_or(0);
        let count = (bytes / slice + 1).min(MAX_PARTS);
        Self {
            parts: (0..count).map(|_| Spill::default()).collect(),
            first,
            width: (last - first) / count as i64 + 1,
            buffer: slice / count,
        }
    }

    fn push(&mut self, profile: i64, body: &[u8], scratch: &mut Scratch) -> Result<(), Error> {
        let index = ((profile - self.first) / self.width) as usize;
        let index = index.min(self.parts.len() - 1);
        let part = &mut self.parts[index];
        staged::push_with_profile(&mut part.buffer, profile, body);
        part.spill_above(self.buffer, scratch)
    }
}
