//! One pass over the profile table: SQLite on this thread, merging on another. On a third records
//! are brought into the order of profiles, slice by slice ([`slices`]), and on a fourth the ids that
//! now lead elsewhere into the order of their table.
//!
//! The merging thread asks for profiles a chunk ahead of the one that it merges. Requests are served in their
//! order, and no chunk is asked for before the slice before it is sent to be stored; so a profile
//! is read after its last write. Ids are stored whenever their thread has some: nothing reads them.

use std::ops::Range;
use std::panic::resume_unwind;
use std::path::Path;
use std::thread::{self, Scope, ScopedJoinHandle};

use crossbeam_channel::{Receiver, Sender};

use super::super::super::Error;
use super::database::Database;
use super::ids::Ids;
use super::key_order::KINDS_BY_NAME;
use super::merge::Merger;
use super::resolve::Leads;
use super::rows::{IdRows, Profile, Profiles};
use super::scratch::{Scratch, Spill};
use super::slices::{self, Slice};
use super::staged;

/// How many profiles are read, merged and stored at once.
const CHUNK: usize = 256;

/// How many ids are stored at once.
const IDS: usize = 1024;

/// What a pass needs to know.
#[derive(Clone, Copy)]
pub struct Sweep {
    /// The greatest id of a profile that may be in the table.
    pub last_stored: i64,
    /// Bytes of records that are merged at once.
    pub slice: usize,
}

/// What the other threads want.
enum Request {
    /// Profiles of these ids.
    Load(Vec<i64>),
    Store(Profiles),
    Lead(IdRows),
}

/// The merging thread.
struct Merging<'a> {
    last_stored: i64,
    slices: Receiver<Result<Slice, Error>>,
    database: &'a Path,
    merger: &'a mut Merger,
    requests: Sender<Request>,
    loaded: Receiver<Profiles>,
}

/// The thread of the database met an error, which is returned there.
struct Stopped;

/// Why merging ends early.
enum End {
    Failed(Error),
    Stopped,
}

impl Sweep {
    /// Merges the records of `parts` into the table, and stores where the ids lead that changed.
    pub fn run(
        self,
        parts: Vec<Spill>,
        scratch: &Scratch,
        database: &Database,
        merger: &mut Merger,
        (ids, leads): (&Ids, &Leads),
    ) -> Result<(), Error> {
        let (requests, inbox) = crossbeam_channel::bounded(2);
        let (answers, loaded) = crossbeam_channel::unbounded();
        let path = database.path();
        thread::scope(|scope| {
            let ids_requests = requests.clone();
            let (out, slices) = crossbeam_channel::bounded(0);
            let Self { last_stored, slice } = self;
            let merging = Merging { last_stored, slices, database: path, merger, requests, loaded };
            let merging = spawn(scope, "merge", move || merging.run())?;
            spawn(scope, "slices", move || slices::send(parts, scratch, slice, &out))?;
            let ordering = spawn(scope, "ids", move || order_ids(ids, leads, &ids_requests))?;
            let served = serve(database, inbox, answers);
            let ordered = ordering.join().unwrap_or_else(|panic| resume_unwind(panic));
            match merging.join().unwrap_or_else(|panic| resume_unwind(panic)) {
                Ok(()) if ordered.is_ok() => served,
                Err(End::Failed(error)) => Err(error),
                Ok(()) | Err(End::Stopped) => Err(served.err().unwrap_or(Error::FailedBefore)),
            }
        })
    }
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, Error> {
    let spawned = thread::Builder::new().name(name.into()).spawn_scoped(scope, work);
    spawned.map_err(|source| Error::Thread { source })
}

/// Asks for the ids that changed to be stored, in the order of their table.
fn order_ids(ids: &Ids, leads: &Leads, requests: &Sender<Request>) -> Result<(), Stopped> {
    for kind in KINDS_BY_NAME {
        ids.take_in_key_order(
            kind,
            |number| leads.is_changed(number),
            IDS,
            |some| {
                let profiles = leads.to_all(some.iter().map(|&(number, _)| number));
                let rows = some.iter().zip(profiles).map(|(&(_, id), profile)| (id, profile));
                requests.send(Request::Lead(IdRows::new(kind, rows))).map_err(|_| Stopped)
            },
        )?;
    }
    Ok(())
}

fn serve(
    database: &Database,
    inbox: Receiver<Request>,
    answers: Sender<Profiles>,
) -> Result<(), Error> {
    for request in inbox {
        match request {
            // When nobody waits for it, the merging thread has its reason.
            Request::Load(ids) => drop(answers.send(database.load(&ids)?)),
            Request::Store(profiles) => database.store(&profiles)?,
            Request::Lead(rows) => database.lead(&rows)?,
        }
    }
    Ok(())
}

impl Merging<'_> {
    fn run(mut self) -> Result<(), End> {
        while let Ok(slice) = self.slices.recv() {
            let slice = slice?;
            // What a part's first slice finds above the last stored profile is new.
            let last_stored = if slice.is_first() { self.last_stored } else { i64::MAX };
            self.merge_slice(&slice, last_stored)?;
        }
        Ok(())
    }

    fn merge_slice(&mut self, slice: &Slice, last_stored: i64) -> Result<(), End> {
        let chunks = slice.chunks(CHUNK);
        let request = |chunk: Option<&Range<usize>>| -> Result<bool, Stopped> {
            let ids = chunk.map_or(Vec::new(), |chunk| slice.profiles(chunk, last_stored));
            let is_needed = !ids.is_empty();
            if is_needed {
                self.requests.send(Request::Load(ids)).map_err(|_| Stopped)?;
            }
            Ok(is_needed)
        };
        let mut is_loading = request(chunks.first())?;
        for (n, chunk) in chunks.iter().enumerate() {
            let is_next_loading = request(chunks.get(n + 1))?;
            let before = match std::mem::replace(&mut is_loading, is_next_loading) {
                true => self.loaded.recv().map_err(|_| Stopped)?,
                false => Profiles::default(),
            };
            let after =
                merge_chunk(self.merger, slice, chunk, &before).map_err(|(id, source)| {
                    Error::Properties { path: self.database.into(), id, source }
                })?;
            self.requests.send(Request::Store(after)).map_err(|_| Stopped)?;
        }
        Ok(())
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
        let times = || bodies().map(staged::at);
        let mut created_at = times().min().unwrap_or_default();
        let mut updated_at = times().max().unwrap_or_default();
        let before = stored.next_if(|profile| profile.id == id);
        if let Some(before) = before {
            created_at = created_at.min(before.created_at);
            updated_at = updated_at.max(before.updated_at);
        }
        let start = after.text.len();
        let properties = before.map_or("{}", |before| before.properties);
        let changes = bodies().flat_map(staged::changes);
        merger.merge_packed(properties, changes, &mut after.text).map_err(|source| (id, source))?;
        let properties = &after.text[start..];
        match before == Some(Profile { id, properties, created_at, updated_at }) {
            true => after.undo(),
            false => after.end(id, created_at, updated_at),
        }
    }
    Ok(after)
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Stopped> for End {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}
