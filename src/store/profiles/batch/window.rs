//! A window: some of an import's records, collected and assigned to their profiles.
//!
//! The profile of a record depends on the records before it and on the `identity` table. There are
//! three ways to assign records:
//! - If all ids of the table are known, each record is assigned on arrival ([`Resolved`]) and
//!   appended to the partition of its profile ([`parts`](super::parts)). An empty table is known
//!   from the start.
//! - If the first records have many of the account's ids, and all ids of the table fit into memory,
//!   a thread loads all of them ([`Reading`]). Until it is done, records wait with their ids as
//!   text.
//! - Otherwise records wait with numbers for their ids, until the window is full and its ids are
//!   looked up.
//!
//! Then a merge pass ([`sweep`]) processes the partitions, each of which covers a range of the
//! profile table. [`Limits`] bounds the memory. Records above the limits are spilled to a temporary
//! file ([`Scratch`]).

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

/// The limits of memory, in bytes where not noted. Tests make them small.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The ids of a window, about. A window with more is full.
    pub ids: usize,
    /// The number of ids from which loading the whole table on another thread is worth it.
    pub beside: usize,
    /// The buffer of waiting records, before it is spilled. A quarter for records with ids as text.
    pub staged: usize,
    /// A run: the records of a partition that are sorted by profile in memory.
    pub slice: usize,
    /// The number of profiles that are read, merged and stored as one chunk.
    pub chunk: usize,
    /// The minimum number of profiles of a partition, when records are assigned on arrival.
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
    /// Records after these, with their ids as text, that exceeded the limit of ids. They are merged
    /// before the window takes more.
    backlog: Spill,
    count: u64,
    /// The greatest profile id before this window.
    last_profile: i64,
    scratch: Scratch,
}

/// The state of the window's records.
#[derive(Debug)]
enum Records {
    /// They wait until their ids are looked up.
    Waiting { staged: Spill, may_read_all: bool },
    /// A thread loads the ids of the table. The first records have numbers for their ids, the
    /// others have them as text.
    Reading { first: Spill, others: Spill, all: Reading },
    /// They are assigned to their profiles.
    Resolved(Resolved),
}

impl Window {
    /// Returns an empty window that spills to the file `scratch`. The greatest profile id in use is
    /// `last_profile`. All data in the database must be committed.
    pub fn new(scratch: PathBuf, limits: Limits, last_profile: i64) -> Self {
        let records = match last_profile {
            0 => Records::Resolved(Resolved::new(Vec::new(), 0, &limits)),
            _ => Records::Waiting { staged: Spill::default(), may_read_all: true },
        };
        let scratch = Scratch::new(scratch);
        let (ids, backlog) = (Ids::default(), Spill::default());
        Self { limits, ids, records, backlog, count: 0, last_profile, scratch }
    }

    /// Adds the records of `batch`.
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

    /// Starts to load all ids of the table, if that is worth it and they fit into memory.
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

    /// Waits for the ids of the table if they are being loaded, and starts to assign records.
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

    /// Moves records from the backlog to the waiting ones, while the limit of ids permits.
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

    /// Whether the window must be merged before it takes more records.
    pub fn is_full(&self) -> bool {
        self.ids.bytes() >= self.limits.ids || !self.backlog.is_empty()
    }

    /// Merges all records into `database` and empties the window.
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

    /// Merges all records but the backlog. Returns the number of moved ids.
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
            Records::Reading { .. } => unreachable!("stop_waiting ended it"),
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
    /// Does [`Self::push`] as on a machine that loads the ids slowly: all records of `batch` arrive
    /// before the ids. The table's ids may take `limit` bytes.
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
    /// No records. Loading all ids is not possible, since another connection does not see the
    /// uncommitted ids of the table.
    const WAITING: Self = Self::Waiting { staged: Spill::NONE, may_read_all: false };
}

/// Appends records with their ids as text.
fn stage(
    records: &[ProfileRecord<'_>],
    staged: &mut Spill,
    limits: &Limits,
    scratch: &mut Scratch,
) -> Result<(), Error> {
    records.iter().for_each(|record| record_codec::push_with_names(&mut staged.buffer, record));
    // In small pieces, since each later push processes one of them.
    staged.spill_above(limits.staged / 4, scratch)
}

/// Whether to scan the `identity` table instead of looking up `wanted` ids. The table has about as
/// many ids as there are profiles, or a few times more.
fn is_sweep(wanted: usize, last_profile: i64) -> bool {
    last_profile / SWEEP < wanted as i64
}
