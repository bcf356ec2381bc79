//! One pass over the profile table: SQLite on this thread, merging on others. On one more, records
//! are brought into the order of profiles, slice by slice ([`slices`]), and on another the ids that
//! now lead elsewhere into the order of their table.
//!
//! Chunks of profiles are read, given to the merging threads in turn and stored in the same order,
//! some ahead of what is stored. A slice that may have profiles of the one before waits until that
//! is stored; so a profile is read after its last write. Ids are stored whenever their thread has
//! some: nothing reads them.

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

/// How many ids are stored at once.
const IDS: usize = 1024;

/// Threads that merge, which takes more than twice as long as reading what they merge.
const MERGING: usize = 2;

/// How many chunks each of them has at most, in work and waiting; fewer where profiles are large.
const AHEAD: usize = 2;

/// What a pass needs to know.
#[derive(Clone, Copy)]
pub struct Sweep {
    /// The greatest id of a profile that may be in the table.
    pub last_stored: i64,
    /// How much is in work at once.
    pub limits: Limits,
}

/// The thread of the database, which knows what is on its way.
struct Table<'a> {
    database: &'a Database,
    sweep: Sweep,
    slices: Receiver<Result<Slice, Error>>,
    ids: Receiver<IdRows>,
    merging: [Merging; MERGING],
    /// How many chunks were given to them so far.
    given: usize,
    /// What those are held to take that have not come back, in bytes.
    on_their_way: VecDeque<usize>,
}

/// A merging thread: what it gets, and what comes of it, in the same order.
struct Merging {
    chunks: Sender<Chunk>,
    merged: Receiver<Result<Profiles, Error>>,
}

/// Some profiles, as they are stored, and the place of their records.
struct Chunk {
    slice: Arc<Slice>,
    records: Range<usize>,
    before: Profiles,
}

impl Chunk {
    /// Of the profiles of these records the first, as many as may be in memory at once: one at
    /// least, and all of them where they are small.
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

    /// Its profiles, and its share of the slice.
    fn bytes(&self) -> usize {
        let records = self.slice.bytes() * self.records.len() / self.slice.len().max(1);
        self.before.text.len() + records
    }
}

impl Sweep {
    /// Merges the records of `parts` into the table, and stores where the ids lead that changed.
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

/// Sends the ids that changed, in the order of their table, until nobody takes them.
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
            // What a part's first slice finds above the last stored profile is new.
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

    /// Reads the profiles of these records and gives them away, all at once unless they are large.
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
                    return; // nobody waits for it any more
                }
            }
        };
        spawn(scope, "merge", work)?;
        Ok(Self { chunks, merged })
    }
}

/// What the records of `chunk` make of the profiles `before`: those that changed.
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
