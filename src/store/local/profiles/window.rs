//! Records of one window: gathered with their ids numbered, then led to their profiles.
//!
//! Which profile a record means depends on the records before it, and on where ids lead in the
//! table. Once it is known where all ids of the table lead, a record is resolved as it comes and
//! handed out to [`parts`](super::parts) by its profile. So it is at once while the table is empty,
//! and after the first records where they have many of the account's ids and memory takes them all.
//! Until then records wait, if need be until all ids of the window can be looked up. Each part then
//! goes through its share of the profile table, in order ([`sweep`]). Memory is bounded by
//! [`Limits`]; what is above them waits in a [`Scratch`] file.

use std::path::PathBuf;

use super::super::super::{Committed, Error};
use super::database::{Database, SWEEP};
use super::ids::Ids;
use super::merge::Merger;
use super::parts::Parts;
use super::resolve::Leads;
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
    /// Profiles of a part, when records are handed out as they come; at least, and not in bytes.
    pub profiles: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { ids: 128 << 20, staged: 4 << 20, slice: 12 << 20, profiles: 16 << 10 }
    }
}

/// How many records' ids are numbered at once.
const AT_ONCE: usize = 64;

/// Some of an import's records, in file order.
#[derive(Debug)]
pub struct Window {
    limits: Limits,
    ids: Ids,
    records: Records,
    count: u64,
    /// The greatest profile id before these records.
    last_profile: i64,
    scratch: Scratch,
}

/// Where the records are.
#[derive(Debug)]
enum Records {
    /// Waiting for where their ids lead.
    Waiting(Spill, Known),
    /// With their profiles: it is known where every id of the table leads.
    Resolved(Leads, Parts),
}

/// What can be done about all ids of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// They may be worth reading.
    Untried,
    /// Memory doesn't take them.
    TooMany,
}

impl Window {
    /// An empty one, with `scratch` as the name of its file. The greatest profile id in use is
    /// `last_profile`.
    pub fn new(scratch: PathBuf, limits: Limits, last_profile: i64) -> Self {
        let records = match last_profile {
            0 => Records::Resolved(Leads::new(Vec::new(), 0), Parts::open(&limits, 0)),
            _ => Records::WAITING,
        };
        let scratch = Scratch::new(scratch);
        Self { limits, ids: Ids::default(), records, count: 0, last_profile, scratch }
    }

    /// Takes these records, which are for `database`.
    ///
    /// # Errors
    /// The scratch file can't be written, or the database can't be read.
    pub fn push(&mut self, batch: &ProfileBatch, database: &Database) -> Result<(), Error> {
        let (mut keys, mut numbers) = (Vec::new(), Vec::new());
        let mut records = batch.iter();
        loop {
            let some: Vec<_> = records.by_ref().take(AT_ONCE).collect();
            if some.is_empty() {
                return self.know_all(database);
            }
            keys.clear();
            keys.extend(some.iter().flat_map(ids_of));
            self.ids.number_all(&keys, &mut numbers);
            self.count += some.len() as u64;
            self.keep(&some, &numbers)?;
        }
    }

    /// Keeps these records, whose ids have `numbers`.
    fn keep(&mut self, records: &[ProfileRecord<'_>], numbers: &[u32]) -> Result<(), Error> {
        let mut rest = numbers;
        let mut numbered = records.iter().map(|record| {
            let (ids, after) = rest.split_at(ids_of(record).count());
            rest = after;
            (record, ids.iter().copied())
        });
        match &mut self.records {
            Records::Waiting(staged, _) => {
                numbered.for_each(|(record, ids)| {
                    staged::push_with_ids(&mut staged.buffer, ids, record);
                });
                staged.spill_above(self.limits.staged, &mut self.scratch)
            }
            Records::Resolved(leads, parts) => {
                leads.grow(self.ids.len());
                // Fetches what is read below.
                std::hint::black_box(leads.to_all(numbers.iter().copied()));
                numbered.try_for_each(|(record, ids)| {
                    let profile = leads.resolve(ids);
                    let push = |out: &mut _| staged::push_resolved(out, profile, record);
                    parts.push(profile, push, &mut self.scratch)
                })
            }
        }
    }

    /// Finds out where all ids of the table lead, if that is worth it and can be held; records need
    /// not wait any more then.
    fn know_all(&mut self, database: &Database) -> Result<(), Error> {
        let Records::Waiting(staged, all @ Known::Untried) = &mut self.records else {
            return Ok(());
        };
        if !is_sweep(self.ids.len(), self.last_profile) {
            return Ok(());
        }
        let count = database.count_ids()? as usize;
        if count * (self.ids.bytes() / self.ids.len()) >= self.limits.ids {
            *all = Known::TooMany;
            return Ok(());
        }
        let staged = std::mem::take(staged);
        let (ids, known) = database.all_ids(count)?.arrange();
        let before = std::mem::replace(&mut self.ids, ids);
        let numbers = self.ids.number_those_of(&before);
        let mut leads = Leads::new(known, self.last_profile);
        leads.grow(self.ids.len());
        let mut parts = Parts::open(&self.limits, self.last_profile);
        self.hand_out(staged, |id| numbers[id as usize], &mut leads, &mut parts)?;
        self.records = Records::Resolved(leads, parts);
        Ok(())
    }

    /// Whether it should be merged now.
    pub fn is_full(&self) -> bool {
        self.ids.bytes() >= self.limits.ids
    }

    /// Merges its records into `database` and is empty afterwards.
    ///
    /// # Errors
    /// The scratch file's, or the database's, or that of a profile that can't be merged.
    pub fn merge(&mut self, database: &Database, merger: &mut Merger) -> Result<Committed, Error> {
        let mut ids = std::mem::take(&mut self.ids);
        let (leads, parts) = match std::mem::replace(&mut self.records, Records::WAITING) {
            Records::Waiting(staged, _) => {
                let known = database.look_up(&ids, is_sweep(ids.len(), self.last_profile))?;
                ids.seal();
                let mut leads = Leads::new(known, self.last_profile);
                let mut parts = Parts::of_known(&self.limits, &ids, &leads, staged.len());
                self.hand_out(staged, |id| id, &mut leads, &mut parts)?;
                (leads, parts)
            }
            Records::Resolved(leads, parts) => {
                ids.seal();
                (leads, parts)
            }
        };
        let parts = parts.finish(&self.limits, &mut self.scratch)?;
        sweep::Sweep { last_stored: self.last_profile, slice: self.limits.slice }.run(
            parts,
            &self.scratch,
            database,
            merger,
            (&ids, &leads),
        )?;
        self.scratch.clear()?;
        self.last_profile = leads.last_profile();
        let records = std::mem::take(&mut self.count);
        Ok(Committed { records, moved_ids: leads.moved() })
    }

    /// Resolves the records in file order; what was an id's number when it was staged is now
    /// another.
    fn hand_out(
        &mut self,
        staged: Spill,
        number: impl Fn(u32) -> u32,
        leads: &mut Leads,
        parts: &mut Parts,
    ) -> Result<(), Error> {
        let mut pieces = staged.pieces();
        while let Some(piece) = pieces.next(&self.scratch, 1)? {
            let mut rest = piece.as_slice();
            while let Some(record) = staged::next_with_ids(&mut rest) {
                let profile = leads.resolve(record.ids().map(&number));
                let push = |out: &mut _| staged::push_with_profile(out, profile, record.body);
                parts.push(profile, push, &mut self.scratch)?;
            }
        }
        Ok(())
    }
}

impl Records {
    const WAITING: Self = Self::Waiting(Spill::NONE, Known::Untried);
}

/// Whether all ids of the table are read rather than these many looked up: there are about as many
/// as profiles, or a few times more.
fn is_sweep(wanted: usize, last_profile: i64) -> bool {
    last_profile / SWEEP < wanted as i64
}

/// A record's ids, strongest first.
fn ids_of<'a>(record: &ProfileRecord<'a>) -> impl Iterator<Item = (IdKind, &'a str)> + use<'a> {
    IdKind::ALL.into_iter().zip(record.ids).filter_map(|(kind, id)| id.map(|id| (kind, id)))
}
