//! Records of one window: gathered with their ids numbered, then led to their profiles.
//!
//! Which profile a record means depends on the records before it, and on where ids lead in the
//! table. Once it is known where all ids of the table lead, a record is resolved as it comes and
//! handed out to [`parts`](super::partitions) by its profile. So it is at once while the table is empty,
//! and after the first records where they have many of the account's ids and memory takes them all.
//! Until then records wait, if need be until all ids of the window can be looked up: with the numbers
//! of their ids, and while those of the table are being read with the ids themselves. Each part then
//! goes through its share of the profile table, in order ([`sweep`]). Memory is bounded by
//! [`Limits`]; what is above them waits in a [`Scratch`] file.

use std::path::PathBuf;

use super::partitions::Parts;
use super::spill::{Scratch, Spill};
use super::streaming::{AT_ONCE, Resolved, each, hand_out, number};
use super::{merge_pass, record_codec};
use crate::records::{ProfileBatch, ProfileRecord};
use crate::store::local::profiles::database::{Database, SWEEP};
use crate::store::local::profiles::id_loader::Reading;
use crate::store::profiles::identity::id_index::Ids;
use crate::store::profiles::identity::resolve::Leads;
use crate::store::profiles::properties::merge::Merger;
use crate::store::{Committed, Error};

/// How much may be in memory, in bytes; tests make them small.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Ids of a window, about: it is full then.
    pub ids: usize,
    /// From how many ids on another thread is worth it; not in bytes.
    pub beside: usize,
    /// Staged records before their first write to the scratch file; with their ids, a quarter.
    pub staged: usize,
    /// Records of a part that are brought into the order of profiles at once.
    pub slice: usize,
    /// Profiles that are read, merged and stored at once; not in bytes.
    pub chunk: usize,
    /// Profiles of a part, when records are handed out as they come; at least, and not in bytes.
    pub profiles: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ids: 128 << 20,
            beside: 16 << 10,
            staged: 4 << 20,
            slice: 12 << 20,
            chunk: 256,
            profiles: 16 << 10,
        }
    }
}

/// Some of an import's records, in file order.
#[derive(Debug)]
pub struct Window {
    limits: Limits,
    ids: Ids,
    records: Records,
    /// Records after these that came with their ids, and found no room: it is merged before others
    /// come.
    backlog: Spill,
    count: u64,
    /// The greatest profile id before these records.
    last_profile: i64,
    scratch: Scratch,
}

/// Where the records are.
#[derive(Debug)]
enum Records {
    /// Waiting for where their ids lead.
    Waiting { staged: Spill, may_read_all: bool },
    /// Of those after the first the ids have no numbers: those of the table are being read.
    Reading { first: Spill, others: Spill, all: Reading },
    /// With their profiles.
    Resolved(Resolved),
}

impl Window {
    /// An empty one, with `scratch` as the name of its file. The greatest profile id in use is
    /// `last_profile`; what is in the database is committed.
    pub fn new(scratch: PathBuf, limits: Limits, last_profile: i64) -> Self {
        let records = match last_profile {
            0 => Records::Resolved(Resolved::new(Vec::new(), 0, &limits)),
            _ => Records::Waiting { staged: Spill::default(), may_read_all: true },
        };
        let scratch = Scratch::new(scratch);
        let (ids, backlog) = (Ids::default(), Spill::default());
        Self { limits, ids, records, backlog, count: 0, last_profile, scratch }
    }

    /// Takes these records, which are for `database`.
    ///
    /// # Errors
    /// The scratch file can't be written, or the database can't be read.
    pub fn push(&mut self, batch: &ProfileBatch, database: &Database) -> Result<(), Error> {
        self.keep_all(batch)?;
        match &mut self.records {
            Records::Waiting { may_read_all: true, .. } => self.read_all(database),
            Records::Reading { all, others, .. } if all.is_due(others.len()) => self.stop_waiting(),
            Records::Resolved(resolved) => {
                resolved.catch_up(&mut self.ids, &mut self.scratch).map(drop)
            }
            _ => Ok(()),
        }
    }

    fn keep_all(&mut self, batch: &ProfileBatch) -> Result<(), Error> {
        let mut records = batch.iter();
        loop {
            let some: Vec<_> = records.by_ref().take(AT_ONCE).collect();
            if some.is_empty() {
                return Ok(());
            }
            self.count += some.len() as u64;
            self.keep(&some)?;
        }
    }

    fn keep(&mut self, records: &[ProfileRecord<'_>]) -> Result<(), Error> {
        let names: Vec<_> = records.iter().map(|record| record.ids).collect();
        match &mut self.records {
            Records::Waiting { staged, .. } => {
                let numbers = number(&mut self.ids, &names);
                for (record, ids) in records.iter().zip(each(&names, &numbers)) {
                    record_codec::push_with_ids(&mut staged.buffer, ids.iter().copied(), record);
                }
                staged.spill_above(self.limits.staged, &mut self.scratch)
            }
            Records::Reading { others, .. } => {
                stage(records, others, &self.limits, &mut self.scratch)
            }
            Records::Resolved(resolved) => {
                if let Some(behind) = resolved.behind() {
                    return stage(records, behind, &self.limits, &mut self.scratch);
                }
                let push = |n: usize, profile, out: &mut _| {
                    record_codec::push_resolved(out, profile, &records[n]);
                };
                resolved.take(&mut self.ids, &names, &mut self.scratch, push)
            }
        }
    }

    /// Begins to read all ids of the table, if that is worth it and memory takes them.
    fn read_all(&mut self, database: &Database) -> Result<(), Error> {
        if self.ids.len() < self.limits.beside || !is_sweep(self.ids.len(), self.last_profile) {
            return Ok(());
        }
        let Records::Waiting { staged, may_read_all } = &mut self.records else { return Ok(()) };
        let count = database.count_ids()? as usize;
        let text = count * self.ids.text_bytes() / self.ids.len();
        if Ids::bytes_of(count, text) >= self.limits.ids {
            *may_read_all = false;
            return Ok(());
        }
        let all = Reading::begin(database.path(), count, self.limits.ids)?;
        let first = std::mem::take(staged);
        self.records = Records::Reading { first, others: Spill::default(), all };
        Ok(())
    }

    /// Waits for all ids of the table, if they are being read: records can be resolved then.
    fn stop_waiting(&mut self) -> Result<(), Error> {
        self.records = match std::mem::replace(&mut self.records, Records::WAITING) {
            Records::Reading { first, others, all } => {
                let Some((ids, known)) = all.finish()? else {
                    self.records = Records::Waiting { staged: first, may_read_all: false };
                    self.backlog = others;
                    return self.number_backlog();
                };
                let before = std::mem::replace(&mut self.ids, ids);
                let numbers = self.ids.number_those_of(&before);
                drop(before);
                let mut resolved = Resolved::new(known, self.last_profile, &self.limits);
                resolved.leads.grow(self.ids.len());
                let number = |id| numbers[id as usize];
                resolved.take_numbered(first, number, &mut self.scratch)?;
                resolved.take_named(others);
                Records::Resolved(resolved)
            }
            others => others,
        };
        Ok(())
    }

    /// Takes what it has room for of the backlog, where records wait.
    fn number_backlog(&mut self) -> Result<(), Error> {
        let Records::Waiting { staged, .. } = &mut self.records else { return Ok(()) };
        while self.ids.bytes() < self.limits.ids
            && let Some(piece) = self.backlog.take_first(&self.scratch)?
        {
            let mut rest = piece.as_slice();
            while !rest.is_empty() {
                let some =
                    std::iter::from_fn(|| record_codec::next_with_names(&mut rest)).take(AT_ONCE);
                let (names, bodies): (Vec<_>, Vec<_>) = some.unzip();
                let numbers = number(&mut self.ids, &names);
                for (body, ids) in bodies.into_iter().zip(each(&names, &numbers)) {
                    record_codec::push_numbered(&mut staged.buffer, ids, body);
                }
                staged.spill_above(self.limits.staged, &mut self.scratch)?;
            }
        }
        Ok(())
    }

    /// Whether it should be merged now.
    pub fn is_full(&self) -> bool {
        self.ids.bytes() >= self.limits.ids || !self.backlog.is_empty()
    }

    /// Merges its records into `database` and is empty afterwards.
    ///
    /// # Errors
    /// The scratch file's, or the database's, or that of a profile that can't be merged.
    pub fn merge(&mut self, database: &Database, merger: &Merger) -> Result<Committed, Error> {
        self.stop_waiting()?;
        let mut moved_ids = self.merge_some(database, merger)?;
        while !self.backlog.is_empty() {
            self.number_backlog()?;
            moved_ids += self.merge_some(database, merger)?;
        }
        self.scratch.clear()?;
        Ok(Committed { records: std::mem::take(&mut self.count), moved_ids })
    }

    /// Merges all but the backlog; gives how many ids have moved.
    fn merge_some(&mut self, database: &Database, merger: &Merger) -> Result<u64, Error> {
        let mut ids = std::mem::take(&mut self.ids);
        let (leads, parts) = match std::mem::replace(&mut self.records, Records::WAITING) {
            Records::Resolved(mut resolved) => {
                while ids.bytes() < self.limits.ids
                    && resolved.catch_up(&mut ids, &mut self.scratch)?
                {}
                self.backlog = resolved.take_behind();
                ids.seal();
                (resolved.leads, resolved.parts)
            }
            Records::Reading { .. } => unreachable!("none waits for them any more"),
            Records::Waiting { staged, .. } => {
                let known = database.look_up(&ids, is_sweep(ids.len(), self.last_profile))?;
                ids.seal();
                let mut leads = Leads::new(known, self.last_profile);
                let mut parts = Parts::of_known(&self.limits, &ids, &leads, staged.len());
                hand_out(staged, |id| id, &mut leads, &mut parts, &mut self.scratch)?;
                (leads, parts)
            }
        };
        let parts = parts.finish(&self.limits, &mut self.scratch)?;
        merge_pass::Sweep { last_stored: self.last_profile, limits: self.limits }.run(
            parts,
            &self.scratch,
            database,
            merger,
            (&ids, &leads),
        )?;
        self.last_profile = leads.last_profile();
        Ok(leads.moved())
    }
}

#[cfg(test)]
impl Window {
    /// As [`Self::push`], on a machine that reads so slowly that all of them come meanwhile; the
    /// table's ids may hold `limit` bytes.
    pub fn push_while_reading(
        &mut self,
        batch: &ProfileBatch,
        database: &Database,
        limit: usize,
    ) -> Result<(), Error> {
        if let Records::Waiting { staged, may_read_all: true } = &mut self.records {
            let first = std::mem::take(staged);
            let all = Reading::begin(database.path(), 0, limit)?;
            self.records = Records::Reading { first, others: Spill::default(), all };
        }
        self.keep_all(batch)
    }
}

impl Records {
    /// None. There are uncommitted ids in the table, which another connection doesn't see.
    const WAITING: Self = Self::Waiting { staged: Spill::NONE, may_read_all: false };
}

/// Stages records with their ids.
fn stage(
    records: &[ProfileRecord<'_>],
    staged: &mut Spill,
    limits: &Limits,
    scratch: &mut Scratch,
) -> Result<(), Error> {
    records.iter().for_each(|record| record_codec::push_with_names(&mut staged.buffer, record));
    // In small pieces: they are caught up with piece by piece, while others come.
    staged.spill_above(limits.staged / 4, scratch)
}

/// Whether all ids of the table are read rather than these many looked up: there are about as many
/// as profiles, or a few times more.
fn is_sweep(wanted: usize, last_profile: i64) -> bool {
    last_profile / SWEEP < wanted as i64
}
