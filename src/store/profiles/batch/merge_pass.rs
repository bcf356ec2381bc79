//! A merge pass: merges the records of a window into the profile table, in one pass over it.
//!
//! This thread uses the database. Other threads merge, one sorts records into runs
//! ([`runs`]), and one sorts the new and moved ids in the order of their table.
//!
//! A chunk of profiles is read, merged by one of the merging threads in turn, and stored in the
//! same order. Several chunks are read before the first of them is stored. If a run may have
//! profiles of the previous run, it waits until those are stored. Therefore a profile is always
//! read after its last write. Moved ids are stored as soon as their thread sends them, because this
//! pass does not read them.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::thread::{self, Scope};

use crossbeam_channel::{Receiver, Sender};

use super::limits::MergeLimits;
use super::record_codec;
use super::runs::{self, SortedRun};
use super::spill::{Spill, SpillFile};
use crate::files::error::IoError;
use crate::store::error::Error;
use crate::store::profiles::identity::id_index::{IdIndex, KINDS_BY_NAME};
use crate::store::profiles::identity::resolve::Resolver;
use crate::store::profiles::properties::merge::Merger;
use crate::store::profiles::rows::{IdRows, Profile, Profiles};
use crate::store::profiles::table::ProfileTable;

/// The number of ids that the merge pass stores as one group.
const ID_GROUP: usize = 1024;

/// The number of threads that merge profiles. Merging takes more than twice as long as reading.
const MERGE_THREADS: usize = 2;

/// The maximum number of chunks that wait for each merging thread. The number is lower if profiles
/// are large.
const AHEAD: usize = 2;

/// The parameters of a merge pass over the table of profiles.
#[derive(Clone, Copy)]
pub struct MergePass {
    /// The greatest id that a profile in the table may have.
    pub last_stored: i64,
    pub limits: MergeLimits,
}

/// The state of a merge pass on the thread that uses the database.
struct PassState<'a, T> {
    table: &'a T,
    pass: MergePass,
    runs: Receiver<Result<SortedRun, IoError>>,
    ids: Receiver<IdRows>,
    threads: [MergeThread; MERGE_THREADS],
    /// The number of chunks that were sent to the merging threads until now.
    sent: usize,
    /// The estimated size of each chunk that is now being merged, in bytes.
    chunk_sizes: VecDeque<usize>,
}

/// The channels of a merging thread. The results arrive in the same order as the chunks.
struct MergeThread {
    chunks: Sender<ProfileChunk>,
    merged: Receiver<Result<Profiles, InvalidProperties>>,
}

/// The id of a profile whose properties cannot be merged, with the reason.
type InvalidProperties = (i64, serde_json::Error);

/// A chunk of stored profiles, and the new records for them in a run.
struct ProfileChunk {
    run: Arc<SortedRun>,
    records: Range<usize>,
    before: Profiles,
}

impl ProfileChunk {
    /// Reads the stored profiles of `records`. If large profiles exceed the memory of a chunk, the
    /// chunk has only the first profiles, at least one.
    fn read(
        table: &impl ProfileTable,
        run: &Arc<SortedRun>,
        mut records: Range<usize>,
        last_stored: i64,
        limits: MergeLimits,
    ) -> Result<Self, Error> {
        let profiles = run.profiles(&records, last_stored);
        let max_bytes = limits.run / (MERGE_THREADS * AHEAD);
        let (before, passed) = table.load_profiles(&profiles, max_bytes)?;
        if let Some(next) = profiles.get(passed) {
            records.end = run.start_of(*next, &records);
        }
        Ok(Self { run: Arc::clone(run), records, before })
    }

    /// Estimates the size of the chunk in bytes: the size of its profiles, and of its part of the
    /// run.
    fn bytes(&self) -> usize {
        let records = self.run.bytes.len() * self.records.len() / self.run.order.len().max(1);
        self.before.text.len() + records
    }
}

impl MergePass {
    /// Merges the records of `partitions` into the table. Stores the ids that are new or moved.
    pub fn run(
        self,
        partitions: Vec<Spill>,
        spill: &SpillFile,
        table: &impl ProfileTable,
        merger: &Merger,
        (ids, resolver): (&IdIndex, &Resolver),
    ) -> Result<(), Error> {
        let limit = self.limits.run;
        let (runs_out, runs) = crossbeam_channel::bounded(0);
        let (ids_out, ids_in) = crossbeam_channel::bounded(1);
        thread::scope(|scope| {
            spawn(scope, "runs", move || {
                runs::send_runs(partitions, spill, limit, &runs_out);
            })?;
            spawn(scope, "ids", move || send_ids(ids, resolver, &ids_out))?;
            let start = || MergeThread::start(scope, merger.clone());
            let threads = [start()?, start()?];
            let chunk_sizes = VecDeque::new();
            PassState { table, pass: self, runs, ids: ids_in, threads, sent: 0, chunk_sizes }.run()
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

/// Sends the new and moved ids in the order of the table `identity`. Stops when the receiver is
/// dropped.
fn send_ids(ids: &IdIndex, resolver: &Resolver, out: &Sender<IdRows>) {
    for kind in KINDS_BY_NAME {
        let sent = ids.for_each_group_in_key_order(
            kind,
            |number| resolver.has_changed(number),
            ID_GROUP,
            |some| {
                let profiles = resolver.profiles(some.iter().map(|&(number, _)| number));
                let rows = some.iter().zip(profiles).map(|(&(_, id), profile)| (id, profile));
                out.send(IdRows::new(kind, rows))
            },
        );
        if sent.is_err() {
            return;
        }
    }
}

impl<T: ProfileTable> PassState<'_, T> {
    fn run(mut self) -> Result<(), Error> {
        while let Ok(run) = self.runs.recv() {
            let run = Arc::new(run?);
            // In the first run of a partition, profiles with a higher id than the last stored
            // profile are new.
            let mut last_stored = self.pass.last_stored;
            if !run.is_first {
                self.store_all()?;
                last_stored = i64::MAX;
            }
            for records in run.chunks(self.pass.limits.chunk) {
                self.merge_records(&run, records, last_stored)?;
            }
        }
        self.store_all()?;
        self.ids.iter().try_for_each(|rows| self.table.store_ids(&rows))
    }

    /// Reads the profiles of `records` and sends them to the merging threads. They are one chunk
    /// unless the profiles are large.
    fn merge_records(
        &mut self,
        run: &Arc<SortedRun>,
        mut records: Range<usize>,
        last_stored: i64,
    ) -> Result<(), Error> {
        let limits = self.pass.limits;
        while !records.is_empty() {
            let chunk = ProfileChunk::read(self.table, run, records.clone(), last_stored, limits)?;
            records.start = chunk.records.end;
            self.send_chunk(chunk)?;
            if let Ok(rows) = self.ids.try_recv() {
                self.table.store_ids(&rows)?;
            }
        }
        Ok(())
    }

    fn send_chunk(&mut self, chunk: ProfileChunk) -> Result<(), Error> {
        let bytes = chunk.bytes();
        let has_room = |state: &Self| {
            state.chunk_sizes.len() < MERGE_THREADS * AHEAD
                && state.chunk_sizes.iter().sum::<usize>() + bytes <= state.pass.limits.run
        };
        while !self.chunk_sizes.is_empty() && !has_room(self) {
            self.store_next()?;
        }
        let thread = &self.threads[self.sent % MERGE_THREADS];
        self.sent += 1;
        self.chunk_sizes.push_back(bytes);
        thread.chunks.send(chunk).map_err(|_| Error::FailedBefore)
    }

    fn store_next(&mut self) -> Result<(), Error> {
        let thread = &self.threads[(self.sent - self.chunk_sizes.len()) % MERGE_THREADS];
        self.chunk_sizes.pop_front();
        let merged = thread.merged.recv().map_err(|_| Error::FailedBefore)?;
        let invalid = |(profile, source)| self.table.invalid_properties(profile, source);
        self.table.store_profiles(&merged.map_err(invalid)?)
    }

    fn store_all(&mut self) -> Result<(), Error> {
        while !self.chunk_sizes.is_empty() {
            self.store_next()?;
        }
        Ok(())
    }
}

impl MergeThread {
    fn start<'scope>(scope: &'scope Scope<'scope, '_>, mut merger: Merger) -> Result<Self, Error> {
        let (chunks, inbox) = crossbeam_channel::unbounded::<ProfileChunk>();
        let (out, merged) = crossbeam_channel::unbounded();
        let work = move || {
            for ProfileChunk { run, records, before } in inbox {
                let after = merge_chunk(&mut merger, &run, &records, &before);
                if out.send(after).is_err() {
                    return; // the merge pass has failed
                }
            }
        };
        spawn(scope, "merge", work)?;
        Ok(Self { chunks, merged })
    }
}

/// Merges the records of `chunk` into the profiles `before`. Returns the profiles that have
/// changed.
fn merge_chunk(
    merger: &mut Merger,
    run: &SortedRun,
    chunk: &Range<usize>,
    before: &Profiles,
) -> Result<Profiles, InvalidProperties> {
    let mut stored = before.iter().peekable();
    let mut after = Profiles::default();
    for (id, group) in run.groups(chunk) {
        let bodies = || group.iter().map(|&(_, at)| run.body(at));
        let times = || bodies().map(record_codec::time);
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
            true => after.discard_text(),
            false => after.add(id, created_at, updated_at),
        }
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::local::profiles::database::Database;

    #[test]
    fn few_large_profiles_are_read_per_chunk() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::begin(&folder.path().join("profiles.db")).unwrap();
        let (mut stored, mut records) = (Profiles::default(), Vec::new());
        for id in 1..=6 {
            stored.text.push_str(&"x".repeat(100));
            stored.add(id, 0, 0);
            record_codec::push_body_with_profile(&mut records, id, b"change");
            record_codec::push_body_with_profile(&mut records, id, b"another");
        }
        database.store_profiles(&stored).unwrap();
        let run = Arc::new(SortedRun::new(records, true));
        let read = |most| {
            let limits = MergeLimits { run: most, ..MergeLimits::default() };
            let (mut left, mut chunks) = (0..12, Vec::new());
            while !left.is_empty() {
                // The last profile of the chunk is new.
                let chunk = ProfileChunk::read(&database, &run, left.clone(), 5, limits).unwrap();
                left.start = chunk.records.end;
                chunks.push((chunk.before.iter().count(), chunk.records));
            }
            chunks
        };
        assert_eq!(read(1 << 20), [(5, 0..12)]);
        assert_eq!(read(800), [(2, 0..4), (2, 4..8), (1, 8..12)]);
        assert_eq!(read(0).len(), 5);
    }
}
