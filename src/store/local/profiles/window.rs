//! Records of one window: gathered with their ids numbered, then led to their profiles.
//!
//! Which profile a record means depends on the records before it, and on where ids lead in the
//! table. So they wait until all ids of the window are known, are resolved in file order, and are
//! handed out to [`parts`](super::parts) by their profile. While the table is empty nothing needs
//! to wait: a record is handed out as it comes. Each part then goes through its share of the
//! profile table, in order ([`sweep`]). Memory is bounded by [`Limits`]; what is above them waits
//! in a [`Scratch`] file.

use std::path::PathBuf;

use super::super::super::{Committed, Error};
use super::database::Database;
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
    /// Profiles of a part, while the table is empty; not in bytes.
    pub new_profiles: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { ids: 128 << 20, staged: 4 << 20, slice: 12 << 20, new_profiles: 16 << 10 }
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
    scratch: Scratch,
}

/// Where the records are.
#[derive(Debug)]
enum Records {
    /// Waiting for where their ids lead.
    Waiting(Spill),
    /// With their profiles: no id led anywhere before them.
    Resolved(Leads, Parts),
}

impl Window {
    /// An empty one, with `scratch` as the name of its file. The greatest profile id in use is
    /// `last_profile`.
    pub fn new(scratch: PathBuf, limits: Limits, last_profile: i64) -> Self {
        let records = match last_profile {
            0 => Records::Resolved(Leads::new(Vec::new(), 0), Parts::of_new(&limits)),
            _ => Records::Waiting(Spill::default()),
        };
        Self { limits, ids: Ids::default(), records, count: 0, scratch: Scratch::new(scratch) }
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
            Records::Waiting(staged) => {
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
        let waiting = Records::Waiting(Spill::default());
        let (leads, parts) = match std::mem::replace(&mut self.records, waiting) {
            Records::Waiting(staged) => {
                let known = database.look_up(&ids, *last_profile)?;
                ids.seal();
                let mut leads = Leads::new(known, *last_profile);
                let mut parts = Parts::of_known(&self.limits, &ids, &leads, staged.len());
                self.hand_out(staged, &mut leads, &mut parts)?;
                (leads, parts)
            }
            Records::Resolved(leads, parts) => {
                ids.seal();
                (leads, parts)
            }
        };
        let parts = parts.finish(&self.limits, &mut self.scratch)?;
        sweep::Sweep { last_stored: *last_profile, slice: self.limits.slice }.run(
            parts,
            &self.scratch,
            database,
            merger,
            (&ids, &leads),
        )?;
        self.scratch.clear()?;
        *last_profile = leads.last_profile();
        let records = std::mem::take(&mut self.count);
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
                let push = |out: &mut _| staged::push_with_profile(out, profile, record.body);
                parts.push(profile, push, &mut self.scratch)?;
            }
        }
        Ok(())
    }
}

/// A record's ids, strongest first.
fn ids_of<'a>(record: &ProfileRecord<'a>) -> impl Iterator<Item = (IdKind, &'a str)> + use<'a> {
    IdKind::ALL.into_iter().zip(record.ids).filter_map(|(kind, id)| id.map(|id| (kind, id)))
}
