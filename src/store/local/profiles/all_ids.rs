//! All ids of an account, on their way from their table into a window.
//!
//! They come by kind. They are laid out by profile, strongest first, as if each profile had had one
//! record that names all of its ids: those of a record that comes then lie side by side. That is
//! done beside other work ([`Reading`]), by a connection of its own: it sees what was committed
//! last.

use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use super::super::super::Error;
use super::connection::open_reader;
use super::id_table::sweep;
use super::ids::{HEAD, ID_BYTES, Ids, Key, kind_of, length_and_kind, length_of};

/// The ids of the table and where they lead, in any order.
#[derive(Debug, Default)]
pub struct AllIds {
    text: String,
    rows: Vec<Row>,
}

/// An id; those of one profile are in the order of their kinds.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    profile: i64,
    length_and_kind: u32,
    start: u32,
}

impl AllIds {
    /// None yet, with room for so many.
    pub fn with_capacity(count: usize) -> Self {
        Self { text: String::new(), rows: Vec::with_capacity(count) }
    }

    /// Adds one.
    pub fn push(&mut self, key: Key<'_>, profile: i64) {
        let start = self.text.len() as u32;
        self.text.push_str(key.1);
        self.rows.push(Row { profile, length_and_kind: length_and_kind(key), start });
    }

    /// What they will hold in memory once they are arranged, about, in bytes; and at least two thirds
    /// of what they hold for a moment while they are.
    fn bytes(&self) -> usize {
        let (text, count) = (self.text.len(), self.rows.len());
        let for_a_moment = size_of::<Row>() + HEAD + size_of::<u32>() + size_of::<i64>();
        (text + count * ID_BYTES).max((2 * text + count * for_a_moment) / 3 * 2)
    }

    /// Numbers them.
    pub fn arrange(mut self) -> Arranged {
        self.rows.sort_unstable();
        let key = |row: &Row| {
            let (start, length) = (row.start as usize, length_of(row.length_and_kind));
            (kind_of(row.length_and_kind), &self.text[start..start + length])
        };
        let mut ids = Ids::sealed(self.rows.iter().map(key), self.text.len());
        let leads = self.rows.iter().map(|row| row.profile).collect();
        drop(self); // before memory is taken again
        ids.unseal();
        (ids, leads)
    }
}

/// How many bytes of records may come for each id that is being read, before they have to wait for
/// it. What comes until then has to be caught up with; and who has nothing to do leaves the
/// processor to the reading.
const BYTES_BESIDE: usize = 48;

/// Each under a number, and where it leads, by these numbers.
pub type Arranged = (Ids, Vec<i64>);

/// The ids of a table, while they are read. Nothing goes on after it is dropped.
#[derive(Debug)]
pub struct Reading {
    thread: Option<JoinHandle<Result<Option<Arranged>, Error>>>,
    /// Nobody waits for them any more.
    is_dropped: Arc<AtomicBool>,
    count: usize,
}

impl Reading {
    /// Begins to read those of the database at `path`, which has about so many, as long as they
    /// hold no more than `limit` bytes of memory.
    ///
    /// # Errors
    /// The thread can't be started.
    pub fn begin(path: &Path, count: usize, limit: usize) -> Result<Self, Error> {
        let path = path.to_owned();
        let is_dropped = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&is_dropped);
        let read = move || {
            let mut all = AllIds::with_capacity(count);
            let mut fits = true;
            let take = |key: Key<'_>, profile| {
                all.push(key, profile);
                fits = all.bytes() < limit;
                fits && !is_done.load(Ordering::Relaxed)
            };
            open_reader(&path)
                .and_then(|connection| sweep(&connection, take))
                .map_err(|source| Error::Profiles { operation: "look up ids", path, source })?;
            Ok(fits.then(|| all.arrange()))
        };
        let thread = thread::Builder::new().name("all-ids".into()).spawn(read);
        let thread = thread.map_err(|source| Error::Thread { source })?;
        Ok(Self { thread: Some(thread), is_dropped, count })
    }

    /// Whether it is time to finish: they can be had at once, or so many bytes of records came
    /// meanwhile that it is better to wait.
    pub fn is_due(&self, bytes: usize) -> bool {
        bytes > self.count * BYTES_BESIDE
            || self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// The ids, arranged; nothing when they hold too much memory.
    ///
    /// # Errors
    /// SQLite's.
    pub fn finish(mut self) -> Result<Option<Arranged>, Error> {
        let read = self.thread.take().map(JoinHandle::join);
        let read = read.unwrap_or(Err(Box::new("it is finished once")));
        read.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.is_dropped.store(true, Ordering::Relaxed);
            let _ = thread.join(); // nobody asks how it ended
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::IdKind::{FbId, Identity, ObjectId};

    #[test]
    fn they_are_laid_out_by_profile_and_found() {
        let table = [
            ((FbId, "fb"), 7),
            ((Identity, "a"), 3),
            ((Identity, "long"), 7),
            ((Identity, "z"), 7),
            ((ObjectId, "a"), -1),
            ((ObjectId, ""), 3),
        ];
        let mut all = AllIds::with_capacity(table.len());
        table.iter().for_each(|&(key, profile)| all.push(key, profile));
        let (mut ids, leads) = all.arrange();
        assert_eq!(leads, [-1, 3, 3, 7, 7, 7]);
        let expected = [4, 1, 5, 3, 2, 0].map(|n: usize| table[n].0);
        assert_eq!(ids.iter().collect::<Vec<_>>(), expected);
        assert_eq!(ids.find_all(&expected), [0, 1, 2, 3, 4, 5].map(Some));
        let mut numbers = Vec::new();
        ids.number_all(&[(Identity, "a"), (ObjectId, ""), (ObjectId, "new")], &mut numbers);
        assert_eq!(numbers, [1, 2, 6]);
    }
}
