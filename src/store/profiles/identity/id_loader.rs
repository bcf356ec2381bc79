//! Loads all ids of an account from the `identity` table into a window, in the background.
//!
//! A thread reads each kind, with a separate connection ([`IdLoader`]). All threads see the same
//! committed state, because the import holds the lock that a commit needs. The ids are stored by
//! profile, strongest first. Therefore the ids of a later record are most likely neighbours in
//! memory.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use super::id_index::{HEADER, IdIndex, IdKey};
use crate::records::IdKind;
use crate::store::error::Error;
use crate::store::profiles::table::IdReader;

/// The number of ids that are read between two checks of the memory limit.
const CHECK_EVERY: usize = 1024;

/// The bytes of records that are accepted for each id of the table before the import waits for the
/// ids. Records accepted earlier must be processed later. While the import waits, the reading
/// threads have the processor.
const BYTES_PER_ID: usize = 32;

/// All stored ids, and their profiles. The profiles are indexed by the numbers of the ids.
pub type IdSnapshot = (IdIndex, Vec<i64>);

/// Loads the stored ids of a table. Dropping the loader stops its threads.
#[derive(Debug)]
pub struct IdLoader {
    thread: Option<JoinHandle<Result<Option<IdSnapshot>, Error>>>,
    shared: Arc<LoaderState>,
    count: usize,
}

impl IdLoader {
    /// Starts to load about `count` ids. The loader stops if the ids take more than `limit` bytes
    /// of memory.
    pub fn start(reader: impl IdReader, count: usize, limit: usize) -> Result<Self, Error> {
        let (is_stopped, ids, text) = Default::default();
        let shared = Arc::new(LoaderState { is_stopped, count: ids, text, limit });
        let state = Arc::clone(&shared);
        let thread = thread::Builder::new().name("all-ids".into());
        let thread = thread.spawn(move || state.read(&reader));
        let thread = thread.map_err(|source| Error::Thread { source })?;
        Ok(Self { thread: Some(thread), shared, count })
    }

    /// Returns whether [`Self::finish`] should be called. This is so if the ids are loaded, or if
    /// `bytes` of records that wait for the ids are enough.
    pub fn is_due(&self, bytes: usize) -> bool {
        bytes > self.count * BYTES_PER_ID
            || self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits until the ids are loaded. Returns `None` if the ids exceed the memory limit.
    pub fn finish(mut self) -> Result<Option<IdSnapshot>, Error> {
        let read = self.thread.take().map(JoinHandle::join);
        let read = read.unwrap_or(Err(Box::new("the thread was already joined")));
        read.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl Drop for IdLoader {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.shared.is_stopped.store(true, Ordering::Relaxed);
            let _ = thread.join(); // the result of the thread is not needed
        }
    }
}

/// The ids of one kind, with their profiles.
#[derive(Debug)]
struct KindIds {
    kind: IdKind,
    text: String,
    rows: Vec<IdRow>,
}

/// The profile of an id, and the position of the id's text.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct IdRow {
    profile: i64,
    start: u32,
    len: u32,
}

/// The state that all reading threads share.
#[derive(Debug)]
struct LoaderState {
    /// Whether the ids are no longer needed, or one of the threads has failed.
    is_stopped: AtomicBool,
    count: AtomicUsize,
    text: AtomicUsize,
    /// The maximum memory of the ids, in bytes.
    limit: usize,
}

impl LoaderState {
    /// Adds `count` ids with `text` bytes of text to the counts. Returns whether the loader should
    /// continue.
    fn count_ids(&self, count: usize, text: usize) -> bool {
        let count = self.count.fetch_add(count, Ordering::Relaxed) + count;
        let text = self.text.fetch_add(text, Ordering::Relaxed) + text;
        // The step that arranges the ids needs more memory for a short time. The count includes
        // two thirds of that memory.
        let temporary = size_of::<IdRow>() + HEADER + size_of::<u32>() + size_of::<i64>();
        let bytes =
            IdIndex::estimate_bytes(count, text).max((2 * text + count * temporary) / 3 * 2);
        bytes < self.limit && !self.is_stopped.load(Ordering::Relaxed)
    }

    /// Reads all stored ids. Returns `None` if the ids exceed the memory limit or are no longer
    /// needed.
    fn read(&self, reader: &impl IdReader) -> Result<Option<IdSnapshot>, Error> {
        let read = |kind| {
            let stop = |_: &_| self.is_stopped.store(true, Ordering::Relaxed);
            move || self.read_kind(reader, kind).inspect_err(stop)
        };
        thread::scope(|scope| {
            let spawn = |kind| {
                thread::Builder::new().name("all-ids".into()).spawn_scoped(scope, read(kind))
            };
            let threads = IdKind::ALL.map(spawn);
            let kinds = threads.into_iter().map(|thread| {
                let thread = thread.map_err(|source| Error::Thread { source })?;
                thread.join().unwrap_or_else(|panic| resume_unwind(panic))
            });
            let kinds: Option<Vec<_>> = kinds.collect::<Result<_, Error>>()?;
            Ok(kinds.map(arrange))
        })
    }

    fn read_kind(&self, reader: &impl IdReader, kind: IdKind) -> Result<Option<KindIds>, Error> {
        let mut ids = KindIds { kind, text: String::new(), rows: Vec::new() };
        let mut text_before = 0;
        let mut has_room = true;
        reader.read_ids(kind, |id, profile| {
            ids.push(id, profile);
            if ids.rows.len().is_multiple_of(CHECK_EVERY) {
                let text = std::mem::replace(&mut text_before, ids.text.len());
                has_room = self.count_ids(CHECK_EVERY, ids.text.len() - text);
            }
            has_room
        })?;
        let text = ids.text.len() - text_before;
        if !has_room || !self.count_ids(ids.rows.len() % CHECK_EVERY, text) {
            return Ok(None);
        }
        ids.rows.sort_unstable();
        Ok(Some(ids))
    }
}

impl KindIds {
    fn push(&mut self, id: &str, profile: i64) {
        let (start, len) = (self.text.len() as u32, id.len() as u32);
        self.text.push_str(id);
        self.rows.push(IdRow { profile, start, len });
    }

    fn key(&self, row: &IdRow) -> IdKey<'_> {
        let start = row.start as usize;
        (self.kind, &self.text[start..start + row.len as usize])
    }
}

/// Merges the ids of all kinds in the order of their profiles, and gives each id a number.
fn arrange(kinds: Vec<KindIds>) -> IdSnapshot {
    let text = kinds.iter().map(|kind| kind.text.len()).sum();
    let count = kinds.iter().map(|kind| kind.rows.len()).sum();
    let mut profiles = Vec::with_capacity(count);
    let mut rows: Vec<_> = kinds.iter().map(|kind| kind.rows.iter().peekable()).collect();
    let next = || {
        let first = rows.iter_mut().enumerate();
        let first = first.filter_map(|(n, rows)| Some((rows.peek()?.profile, n)));
        let (profile, kind) = first.min()?;
        profiles.push(profile);
        rows[kind].next().map(|row| kinds[kind].key(row))
    };
    let mut ids = IdIndex::sealed(std::iter::from_fn(next), count, text);
    drop(kinds); // this frees memory before the hash table is built
    ids.unseal();
    (ids, profiles)
}

#[cfg(test)]
mod tests {
    use super::*;
    use IdKind::{FbId, Identity, ObjectId};

    #[test]
    fn ids_are_numbered_by_profile() {
        let table = [
            ((FbId, "fb"), 7),
            ((Identity, "a"), 3),
            ((Identity, "long"), 7),
            ((Identity, "z"), 7),
            ((ObjectId, "a"), -1),
            ((ObjectId, ""), 3),
        ];
        let kinds = IdKind::ALL.map(|kind| {
            let mut ids = KindIds { kind, text: String::new(), rows: Vec::new() };
            let own = table.iter().filter(|((of, _), _)| *of == kind);
            own.for_each(|&((_, id), profile)| ids.push(id, profile));
            ids.rows.sort_unstable();
            ids
        });
        let (mut ids, profiles) = arrange(kinds.into());
        assert_eq!(profiles, [-1, 3, 3, 7, 7, 7]);
        let expected = [4, 1, 5, 2, 3, 0].map(|n: usize| table[n].0);
        assert_eq!(ids.iter().collect::<Vec<_>>(), expected);
        assert_eq!(ids.find_all(&expected), [0, 1, 2, 3, 4, 5].map(Some));
        let keys = [(Identity, "a"), (ObjectId, ""), (ObjectId, "new")];
        assert_eq!(ids.number_keys(&keys), [1, 2, 6]);
    }
}
