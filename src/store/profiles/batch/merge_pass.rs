//! A merge pass: merges the records of a window into the profile table, in one pass over it.
//!
//! This thread uses the database. Other threads merge, one sorts records into runs ([`slices`]), and
//! one sorts the ids that moved in the order of their table.
//!
//! A chunk of profiles is read, merged by one of the merging threads in turn, and stored in the same
//! order. Several chunks are read ahead of the one that is stored. A run that may have profiles of
//! the run before waits until those are stored, so a profile is always read after its last write.
//! Moved ids are stored whenever their thread has some, since nothing reads them in this pass.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, Scope};

use crossbeam_channel::{Receiver, Sender};

use super::record_codec;
use super::runs;
use super::runs::Slice;
use super::spill::{Scratch, Spill};
use super::window::Limits;
use crate::store::Error;
use crate::store::local::profiles::database::Database;
use crate::store::local::profiles::database::rows::{IdRows, Profile, Profiles};
use crate::store::profiles::identity::id_index::Ids;
use crate::store::profiles::identity::key_order::KINDS_BY_NAME;
use crate::store::profiles::identity::resolve::Leads;
use crate::store::profiles::properties::merge::Merger;

/// The number of ids that are stored as one group.
const IDS: usize = 1024;

/// The number of merging threads. Merging takes more than twice as long as reading.
const MERGING: usize = 2;

/// The maximum number of chunks per merging thread, fewer if profiles are large.
const AHEAD: usize = 2;

/// The parameters of a merge pass.
#[derive(Clone, Copy)]
pub struct Sweep {
    /// The greatest id of a profile that may be in the table.
    pub last_stored: i64,
    pub limits: Limits,
}

/// The database's side of a merge pass.
struct Table<'a> {
    database: &'a Database,
    sweep: Sweep,
    slices: Receiver<Result<Slice, Error>>,
    ids: Receiver<IdRows>,
    merging: [Merging; MERGING],
    /// The number of chunks sent to the merging threads so far.
    given: usize,
    /// The estimated size of each chunk that is being merged, in bytes.
    on_their_way: VecDeque<usize>,
}

/// The channels of a merging thread. Results arrive in the order of the chunks.
struct Merging {
    chunks: Sender<Chunk>,
    merged: Receiver<Result<Profiles, Error>>,
}

/// Stored profiles, and their new records in a run.
struct Chunk {
    slice: Arc<Slice>,
    records: Range<usize>,
    before: Profiles,
}

impl Chunk {
    /// Reads the profiles of `records`. Large profiles exceed the memory of a chunk, then it holds
    /// only the first of them, at least one.
    fn read(
        database: &Database,
        slice: &Arc<Slice>,
        mut records: Range<usize>,
        last_stored: i64,
        limits: Limits,
    ) -> Result<Self, Error> {
        let profiles = slice.profiles(&records, last_stored);
        let (before, passed) = database.load(&profiles, limits.slice / (MERGING * AHEAD))?;
        if let Some(next) = profiles.get(passed) {
            records.end = slice.start_of(*next, &records);
        }
        Ok(Self { slice: Arc::clone(slice), records, before })
    }

    /// Estimates its size: the profiles, and its share of the run.
    fn bytes(&self) -> usize {
        let records = self.slice.bytes() * self.records.len() / self.slice.len().max(1);
        self.before.text.len() + records
    }
}

impl Sweep {
    /// Merges the records of `parts` into the table and stores the ids that moved.
    pub fn run(
        self,
        parts: Vec<Spill>,
        scratch: &Scratch,
        database: &Database,
        merger: &Merger,
        (ids, leads): (&Ids, &Leads),
    ) -> Result<(), Error> {
        let limit = self.limits.slice;
        let (slices_out, slices) = crossbeam_channel::bounded(0);
        let (ids_out, ids_in) = crossbeam_channel::bounded(1);
        let path = database.path();
        thread::scope(|scope| {
            spawn(scope, "slices", move || runs::send(parts, scratch, limit, &slices_out))?;
            spawn(scope, "ids", move || send_ids(ids, leads, &ids_out))?;
            let merging = || Merging::start(scope, merger.clone(), path);
            let merging = [merging()?, merging()?];
            let ids = ids_in;
            let on_their_way = VecDeque::new();
            Table { database, sweep: self, slices, ids, merging, given: 0, on_their_way }.run()
        })
    }
}

fn spawn<'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() + Send + 'scope,
) -> Result<(), Error> {
    let spawned = thread::Builder::new().name(name.into()).spawn_scoped(scope, work);
    spawned.map(drop).map_err(|source| Error::Thread { source })
}

/// Sends the ids that moved, in the order of their table, until the receiver is dropped.
fn send_ids(ids: &Ids, leads: &Leads, out: &Sender<IdRows>) {
    for kind in KINDS_BY_NAME {
        let sent = ids.take_in_key_order(
            kind,
            |number| leads.is_changed(number),
            IDS,
            |some| {
                let profiles = leads.to_all(some.iter().map(|&(number, _)| number));
                let rows = some.iter().zip(profiles).map(|(&(_, id), profile)| (id, profile));
                out.send(IdRows::new(kind, rows))
            },
        );
        if sent.is_err() {
            return;
        }
    }
}

impl Table<'_> {
    fn run(mut self) -> Result<(), Error> {
        while let Ok(slice) = self.slices.recv() {
            let slice = Arc::new(slice?);
            // In the first run of a partition, profiles above the last stored one are new.
            let mut last_stored = self.sweep.last_stored;
            if !slice.is_first() {
                self.store_all()?;
                last_stored = i64::MAX;
            }
            for records in slice.chunks(self.sweep.limits.chunk) {
                self.sweep(&slice, records, last_stored)?;
            }
        }
        self.store_all()?;
        self.ids.iter().try_for_each(|rows| self.database.lead(&rows))
    }

    /// Reads the profiles of `records` and sends them to the merging threads, in one chunk unless
    /// they are large.
    fn sweep(
        &mut self,
        slice: &Arc<Slice>,
        mut records: Range<usize>,
        last_stored: i64,
    ) -> Result<(), Error> {
        let limits = self.sweep.limits;
        while !records.is_empty() {
            let chunk = Chunk::read(self.database, slice, records.clone(), last_stored, limits)?;
            records.start = chunk.records.end;
            self.give(chunk)?;
            if let Ok(rows) = self.ids.try_recv() {
                self.database.lead(&rows)?;
            }
        }
        Ok(())
    }

    fn give(&mut self, chunk: Chunk) -> Result<(), Error> {
        let bytes = chunk.bytes();
        let has_room = |table: &Self| {
            table.on_their_way.len() < MERGING * AHEAD
                && table.on_their_way.iter().sum::<usize>() + bytes <= table.sweep.limits.slice
        };
        while !self.on_their_way.is_empty() && !has_room(self) {
            self.store_next()?;
        }
        let merging = &self.merging[self.given % MERGING];
        self.given += 1;
        self.on_their_way.push_back(bytes);
        merging.chunks.send(chunk).map_err(|_| Error::FailedBefore)
    }

    fn store_next(&mut self) -> Result<(), Error> {
        let merging = &self.merging[(self.given - self.on_their_way.len()) % MERGING];
        self.on_their_way.pop_front();
        let merged = merging.merged.recv().map_err(|_| Error::FailedBefore)?;
        self.database.store(&merged?)
    }

    fn store_all(&mut self) -> Result<(), Error> {
        while !self.on_their_way.is_empty() {
            self.store_next()?;
        }
        Ok(())
    }
}

impl Merging {
    fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        mut merger: Merger,
        database: &'scope Path,
    ) -> Result<Self, Error> {
        let (chunks, inbox) = crossbeam_channel::unbounded::<Chunk>();
        let (out, merged) = crossbeam_channel::unbounded();
        let work = move || {
            for Chunk { slice, records, before } in inbox {
                let after = merge_chunk(&mut merger, &slice, &records, &before);
                let properties =
                    |(id, source)| Error::Properties { path: database.into(), id, source };
                if out.send(after.map_err(properties)).is_err() {
                    return; // the merge pass has failed
                }
            }
        };
        spawn(scope, "merge", work)?;
        Ok(Self { chunks, merged })
    }
}

/// Merges the records of `chunk` into the profiles `before`. Returns the profiles that changed.
fn merge_chunk(
    merger: &mut Merger,
    slice: &Slice,
    chunk: &Range<usize>,
    before: &Profiles,
) -> Result<Profiles, (i64, serde_json::Error)> {
    let mut stored = before.iter().peekable();
    let mut after = Profiles::default();
    for (id, group) in slice.groups(chunk) {
        let bodies = || group.iter().map(|&(_, at)| slice.body(at));
        let times = || bodies().map(record_codec::at);
        let mut created_at = times().min().unwrap_or_default();
        let mut updated_at = times().max().unwrap_or_default();
        let before = stored.next_if(|profile| profile.id == id);
        if let Some(before) = before {
            created_at = created_at.min(before.created_at);
            updated_at = updated_at.max(before.updated_at);
        }
        let start = after.text.len();
        let properties = before.map_or("{}", |before| before.properties);
        let changes = bodies().flat_map(record_codec::changes);
        merger.merge_packed(properties, changes, &mut after.text).map_err(|source| (id, source))?;
        let properties = &after.text[start..];
        match before == Some(Profile { id, properties, created_at, updated_at }) {
            true => after.undo(),
            false => after.end(id, created_at, updated_at),
        }
    }
    Ok(after)
}

#[cfg(test)]
mod tests;
