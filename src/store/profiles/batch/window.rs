//! A window: some of an import's records, collected and assigned to their profiles.
//!
//! There are three ways to assign records (see the phases in `store::profiles`):
//! - If all stored ids are known, each record is assigned on arrival ([`RecordRouter`]). An account
//!   without ids is known from the start.
//! - If the first records have many of the account's ids, and all stored ids fit into memory, a
//!   thread loads all of them ([`IdLoader`]). Until it is done, records wait with their ids as
//!   text.
//! - Otherwise records wait with numbers for their ids, until the window is full and its ids are
//!   looked up.
//!
//! [`MergeLimits`] bounds the memory. Records above the limits are spilled ([`SpillFile`]).

use std::path::PathBuf;

use super::absorption::AbsorptionQueue;
use super::limits::MergeLimits;
use super::merge_pass::MergePass;
use super::partitions::Partitions;
use super::record_codec;
use super::spill::{Spill, SpillFile};
use super::streaming::{GROUP, RecordRouter, assign_staged, ids_by_record, number_ids};
use crate::files::error::IoError;
use crate::records::{ProfileBatch, ProfileRecord};
use crate::store::engine::CommitCounts;
use crate::store::error::Error;
use crate::store::profiles::identity::id_index::IdIndex;
use crate::store::profiles::identity::id_loader::IdLoader;
use crate::store::profiles::identity::resolve::Resolver;
use crate::store::profiles::properties::merge::Merger;
use crate::store::profiles::table::{ProfileTable, SCAN_FRACTION};

/// A window: some of an import's records, in file order.
#[derive(Debug)]
pub struct Window {
    limits: MergeLimits,
    ids: IdIndex,
    phase: Phase,
    /// The records after the window, which exceeded the limit of ids. Their ids are texts. They
    /// are merged before the window takes new records.
    backlog: Spill,
    count: u64,
    /// The greatest profile id that was in use before the window.
    last_profile: i64,
    spill: SpillFile,
}

/// The state of the records of a window.
#[derive(Debug)]
enum Phase {
    /// The records of the window wait until their ids are looked up.
    Waiting { records: Spill, may_load_ids: bool },
    /// A thread loads all stored ids. The first records of the window have numbers as ids. The
    /// other records have ids as text.
    LoadingIds { first: Spill, others: Spill, loader: IdLoader },
    /// The records of the window are assigned to their profiles on arrival.
    Streaming(Box<RecordRouter>),
}

impl Window {
    /// Returns an empty window that spills to the file `spill_path`. The greatest profile id in use
    /// is `last_profile`. All data in the database must be committed.
    pub fn new(spill_path: PathBuf, limits: MergeLimits, last_profile: i64) -> Self {
        let phase = match last_profile {
            0 => Phase::Streaming(Box::new(RecordRouter::new(Vec::new(), 0, &limits))),
            _ => Phase::Waiting { records: Spill::default(), may_load_ids: true },
        };
        let spill = SpillFile::new(spill_path);
        let (ids, backlog) = (IdIndex::default(), Spill::default());
        Self { limits, ids, phase, backlog, count: 0, last_profile, spill }
    }

    /// Adds the records of `batch` to the window.
    pub fn push(&mut self, batch: &ProfileBatch, table: &impl ProfileTable) -> Result<(), Error> {
        self.add_batch(batch, table)?;
        match &mut self.phase {
            Phase::Waiting { may_load_ids: true, .. } => self.start_loading(table),
            Phase::LoadingIds { loader, others, .. } if loader.is_due(others.len()) => {
                self.finish_loading(table)
            }
            Phase::Streaming(router) => {
                router.assign_next_piece(&mut self.ids, table, &mut self.spill)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn add_batch(&mut self, batch: &ProfileBatch, table: &impl ProfileTable) -> Result<(), Error> {
        let mut records = batch.iter();
        loop {
            let group: Vec<_> = records.by_ref().take(GROUP).collect();
            if group.is_empty() {
                return Ok(());
            }
            self.count += group.len() as u64;
            self.add_group(&group, table)?;
        }
    }

    fn add_group(
        &mut self,
        group: &[ProfileRecord<'_>],
        table: &impl ProfileTable,
    ) -> Result<(), Error> {
        let texts: Vec<_> = group.iter().map(|record| record.ids).collect();
        match &mut self.phase {
            Phase::Waiting { records, .. } => {
                let numbers = number_ids(&mut self.ids, &texts);
                for (record, ids) in group.iter().zip(ids_by_record(&texts, &numbers)) {
                    record_codec::push_with_numbers(&mut records.buffer, ids, record);
                }
                Ok(records.spill_above(self.limits.waiting, &mut self.spill)?)
            }
            Phase::LoadingIds { others, .. } => {
                Ok(push_with_texts(group, others, &self.limits, &mut self.spill)?)
            }
            Phase::Streaming(router) => {
                if !router.backlog.is_empty() {
                    let backlog = &mut router.backlog;
                    return Ok(push_with_texts(group, backlog, &self.limits, &mut self.spill)?);
                }
                let push = |n: usize, profile, out: &mut _| {
                    record_codec::push_with_profile(out, profile, &group[n]);
                };
                router.assign(&mut self.ids, &texts, table, &mut self.spill, push)
            }
        }
    }

    /// Starts to load all stored ids if this is useful and the ids fit into memory.
    fn start_loading(&mut self, table: &impl ProfileTable) -> Result<(), Error> {
        if self.ids.len() < self.limits.load_from || !prefers_scan(&self.ids, self.last_profile) {
            return Ok(());
        }
        let Phase::Waiting { records, may_load_ids } = &mut self.phase else { return Ok(()) };
        let count = table.count_ids()?;
        let text = count * self.ids.text_bytes() / self.ids.len();
        if IdIndex::estimate_bytes(count, text) >= self.limits.ids {
            *may_load_ids = false;
            return Ok(());
        }
        let loader = IdLoader::start(table.id_reader(), count, self.limits.ids)?;
        let first = std::mem::take(records);
        self.phase = Phase::LoadingIds { first, others: Spill::default(), loader };
        Ok(())
    }

    /// Waits for the stored ids if they are being loaded. Then starts to assign records to
    /// profiles.
    fn finish_loading(&mut self, table: &impl ProfileTable) -> Result<(), Error> {
        self.phase = match std::mem::replace(&mut self.phase, Phase::WAITING) {
            Phase::LoadingIds { first, others, loader } => {
                let Some((ids, profiles)) = loader.finish()? else {
                    self.phase = Phase::Waiting { records: first, may_load_ids: false };
                    self.backlog = others;
                    self.drain_backlog()?;
                    return Ok(());
                };
                let before = std::mem::replace(&mut self.ids, ids);
                let numbers = self.ids.renumber(&before);
                drop(before);
                let mut router = RecordRouter::new(profiles, self.last_profile, &self.limits);
                router.resolver.grow(self.ids.len());
                let number = |id| numbers[id as usize];
                let RecordRouter { resolver, partitions, .. } = &mut router;
                let resolver = (resolver, &self.ids);
                assign_staged(first, number, resolver, partitions, table, &mut self.spill)?;
                router.backlog = others;
                Phase::Streaming(Box::new(router))
            }
            phase => phase,
        };
        Ok(())
    }

    /// Moves records from the backlog to the waiting records, until the limit of ids is reached.
    fn drain_backlog(&mut self) -> Result<(), IoError> {
        let Phase::Waiting { records, .. } = &mut self.phase else { return Ok(()) };
        while self.ids.bytes() < self.limits.ids
            && let Some(piece) = self.backlog.take(&self.spill, 1)?
        {
            let mut rest = piece.as_slice();
            while !rest.is_empty() {
                let (texts, bodies) = record_codec::next_group_with_texts(&mut rest, GROUP);
                let numbers = number_ids(&mut self.ids, &texts);
                for (body, ids) in bodies.into_iter().zip(ids_by_record(&texts, &numbers)) {
                    record_codec::push_body_with_numbers(&mut records.buffer, ids, body);
                }
                records.spill_above(self.limits.waiting, &mut self.spill)?;
            }
        }
        Ok(())
    }

    /// Returns whether the window must be merged before it takes new records.
    pub fn is_full(&self) -> bool {
        self.ids.bytes() >= self.limits.ids || !self.backlog.is_empty()
    }

    /// Merges all records of the window into `table` and empties the window.
    pub fn merge(
        &mut self,
        table: &impl ProfileTable,
        merger: &Merger,
    ) -> Result<CommitCounts, Error> {
        self.finish_loading(table)?;
        let mut counts = self.run_pass(table, merger)?;
        while !self.backlog.is_empty() {
            self.drain_backlog()?;
            counts += self.run_pass(table, merger)?;
        }
        self.spill.clear()?;
        Ok(CommitCounts { records: std::mem::take(&mut self.count), ..counts })
    }

    /// Merges all records of the window into `table` except the backlog. Returns all counts except
    /// the number of records.
    fn run_pass(
        &mut self,
        table: &impl ProfileTable,
        merger: &Merger,
    ) -> Result<CommitCounts, Error> {
        let mut ids = std::mem::take(&mut self.ids);
        let (resolver, mut partitions) = match std::mem::replace(&mut self.phase, Phase::WAITING) {
            Phase::Streaming(router) => {
                let mut router = *router;
                while ids.bytes() < self.limits.ids
                    && router.assign_next_piece(&mut ids, table, &mut self.spill)?
                {}
                self.backlog = router.backlog;
                ids.seal();
                (router.resolver, router.partitions)
            }
            Phase::LoadingIds { .. } => unreachable!("finish_loading has ended this phase"),
            Phase::Waiting { records, .. } => {
                let scan = prefers_scan(&ids, self.last_profile);
                let profiles = table.find_profiles(&ids, scan)?;
                ids.seal();
                let mut resolver = Resolver::new(profiles, self.last_profile);
                let mut partitions =
                    Partitions::for_size(&self.limits, &ids, &resolver, records.len());
                let (resolver_ids, spill) = ((&mut resolver, &ids), &mut self.spill);
                assign_staged(records, |id| id, resolver_ids, &mut partitions, table, spill)?;
                (resolver, partitions)
            }
        };
        let none = AbsorptionQueue::new(&self.limits);
        let absorptions = std::mem::replace(&mut partitions.absorptions, none);
        let partitions = partitions.finish(&self.limits, &mut self.spill)?;
        MergePass { last_stored: self.last_profile, limits: self.limits }.run(
            partitions,
            &self.spill,
            table,
            merger,
            (&ids, &resolver),
        )?;
        self.last_profile = resolver.last_profile;
        let absorbed_profiles = absorptions.merge(&self.spill, table, merger)?;
        Ok(CommitCounts { moved_ids: resolver.moves, absorbed_profiles, ..CommitCounts::default() })
    }
}

#[cfg(test)]
impl Window {
    /// Does the same as [`Self::push`] on a machine that loads the ids slowly: all records of
    /// `batch` arrive before the ids. The stored ids may take `limit` bytes.
    pub fn push_while_loading(
        &mut self,
        batch: &ProfileBatch,
        table: &impl ProfileTable,
        limit: usize,
    ) -> Result<(), Error> {
        if let Phase::Waiting { records, may_load_ids: true } = &mut self.phase {
            let first = std::mem::take(records);
            let loader = IdLoader::start(table.id_reader(), 0, limit)?;
            self.phase = Phase::LoadingIds { first, others: Spill::default(), loader };
        }
        self.add_batch(batch, table)
    }
}

impl Phase {
    /// The state of a window without records. All ids cannot be loaded, because another connection
    /// does not see the uncommitted ids of the table.
    const WAITING: Self = Self::Waiting { records: Spill::NONE, may_load_ids: false };
}

/// Appends records to `out`, with their ids as text.
fn push_with_texts(
    records: &[ProfileRecord<'_>],
    out: &mut Spill,
    limits: &MergeLimits,
    spill: &mut SpillFile,
) -> Result<(), IoError> {
    records.iter().for_each(|record| record_codec::push_with_texts(&mut out.buffer, record));
    // The pieces are small, because each later push processes one of them.
    out.spill_above(limits.waiting / 4, spill)
}

/// Returns whether to scan the stored ids instead of finding each of `wanted`. The table has about
/// as many ids as there are profiles, or a few times more.
fn prefers_scan(wanted: &IdIndex, last_profile: i64) -> bool {
    last_profile / SCAN_FRACTION < wanted.len() as i64
}
