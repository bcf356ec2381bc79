//! Room on the disks: below the configured floor the queue is held. Pure but for [`measure`] and
//! the log.
//!
//! Always holds: while it is held nothing is claimed and no import begins; what runs goes on, mail
//! and webhooks too. It is let go when there is a tenth more than the floor, so that a disk at the
//! floor doesn't make it change all the time. Every change is told once, also in the activity log,
//! which may lie on the very disk that is full: a line waits until it can be written.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::sys::statvfs::statvfs;

use crate::config::{Config, Size};

/// Nothing begins on a measurement that is older.
const FRESH: Duration = Duration::from_secs(2);
/// A measurement takes microseconds.
const HANGS: Duration = Duration::from_secs(5);

/// How much room a folder's file system has for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// The folder.
    pub path: PathBuf,
    /// Bytes free to users other than root.
    pub free: u64,
}

/// A line for the activity log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it happened.
    pub at: Timestamp,
    /// `queue.held` or `queue.released`.
    pub action: &'static str,
    /// Which disk, how much.
    pub detail: String,
}

/// Whether the queue is held, and what is still to be told.
#[derive(Debug)]
pub struct Space {
    floor: Size,
    held: Option<Room>,
    untold: Vec<Line>,
    /// Since when a measurement is under way.
    measuring: Option<Instant>,
    /// When the last one ended.
    measured: Option<Instant>,
    /// Since when it is held.
    since: Option<Instant>,
}

/// What a measurement changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// From now on the queue is held, for the reason given.
    Held(String),
    /// It goes on, after so long.
    Released(Duration),
}

impl Space {
    /// With nothing measured: not held.
    pub fn new(floor: Size) -> Self {
        let (measuring, measured) = (None, None);
        Self { floor, held: None, untold: Vec::new(), measuring, measured, since: None }
    }

    /// Whether nothing may be claimed or begun.
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Whether it is held, or the activity log has yet to be told of a change.
    pub fn is_busy(&self) -> bool {
        self.is_held() || !self.untold.is_empty()
    }

    /// Whether what is known of the disks is good enough at `now` to begin something. A disk that
    /// doesn't answer is not waited for: what needs it then says so.
    pub fn is_known(&self, now: Instant) -> bool {
        let within = |since: Option<Instant>, limit| since.is_some_and(|at| now < at + limit);
        within(self.measured, FRESH) || self.measuring.is_some_and(|at| now >= at + HANGS)
    }

    /// The lines to tell with the measurement that begins at `now`; none while one is under way.
    pub fn begin(&mut self, now: Instant) -> Option<Vec<Line>> {
        if self.measuring.is_some() {
            return None;
        }
        self.measuring = Some(now);
        Some(self.untold.clone())
    }

    /// A measurement of every disk is done at `now`, and the activity log has the first `told` lines.
    /// One that took long counts like others: a slow disk is measured once, not for ever.
    pub fn done(
        &mut self,
        rooms: &[Room],
        told: usize,
        now: Instant,
        at: Timestamp,
    ) -> Option<Change> {
        (self.measuring, self.measured) = (None, Some(now));
        self.untold.drain(..told.min(self.untold.len()));
        self.update(rooms, at)
    }

    /// Takes a measurement; a change is logged.
    fn update(&mut self, rooms: &[Room], at: Timestamp) -> Option<Change> {
        let scarcest = rooms.iter().min_by_key(|room| room.free)?;
        let (was_held, floor) = (self.is_held(), self.floor.bytes());
        let wanted = if was_held { floor.saturating_add(floor / 10) } else { floor };
        self.held = (scarcest.free < wanted).then(|| scarcest.clone());
        let change = match (was_held, &self.held) {
            (false, Some(_)) => Change::Held(self.reason().unwrap_or_default()),
            (true, None) => {
                let since = self.since.take();
                Change::Released(since.map_or(Duration::ZERO, |since| since.elapsed()))
            }
            _ => return None,
        };
        let (action, detail) = match &change {
            Change::Held(reason) => {
                self.since = Some(Instant::now());
                tracing::error!(
                    "the queue is held: {reason}; it goes on by itself when there is room"
                );
                ("queue.held", reason.clone())
            }
            Change::Released(_) => {
                tracing::info!("the queue goes on: there is room again");
                ("queue.released", String::new())
            }
        };
        self.untold.push(Line { at, action, detail });
        Some(change)
    }

    /// `status` with the reason before it, while the queue is held.
    pub fn explain(&self, status: String) -> String {
        match self.reason() {
            Some(reason) => format!("Queue held, {reason}. {status}"),
            None => status,
        }
    }

    fn reason(&self) -> Option<String> {
        let Room { path, free } = self.held.as_ref()?;
        let (free, path) = (Size::from_bytes(*free), path.display());
        Some(format!("{free} free at {path}, less than imports.free-space-floor = {}", self.floor))
    }
}

/// The folders whose disks are watched.
pub fn folders(config: &Config) -> [PathBuf; 3] {
    let paths = &config.paths;
    [paths.accounts.clone(), paths.state.clone(), paths.data()]
}

/// How much room there is. A folder that isn't there (yet), or whose file system doesn't say, is
/// left out: what needs it then says so.
pub fn measure(folders: &[PathBuf]) -> Vec<Room> {
    let room = |path: &PathBuf| Some(Room { path: path.clone(), free: free(path).ok()? });
    folders.iter().filter_map(room).collect()
}

/// Bytes free to users other than root (statvfs(3)).
fn free(path: &Path) -> io::Result<u64> {
    let stat = statvfs(path)?;
    Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(path: &str, free: u64) -> Room {
        Room { path: path.into(), free }
    }

    #[test]
    fn is_held_below_the_floor_and_let_go_some_way_above_it() {
        let mut space = Space::new(Size::from_bytes(1_000));
        let at = Timestamp::UNIX_EPOCH;
        let mut update = |a, b| space.update(&[room("/a", a), room("/b", b)], at);
        assert_eq!(update(1_000, 1_000), None);
        let reason = "999 B free at /b, less than imports.free-space-floor = 1.0 kB";
        assert_eq!(update(5_000, 999), Some(Change::Held(reason.into())));
        assert_eq!(update(5_000, 0), None, "told once");
        assert_eq!(update(0, 5_000), None, "another disk is no change");
        assert_eq!(update(1_099, 5_000), None, "not yet");
        assert!(matches!(update(1_100, 5_000), Some(Change::Released(_))));
        assert_eq!(update(1_000, 5_000), None);
    }

    #[test]
    fn lines_wait_until_they_are_told() {
        let mut space = Space::new(Size::from_bytes(10));
        let at = Timestamp::UNIX_EPOCH;
        space.update(&[room("/a", 0)], at);
        assert!(space.explain("Idle".into()).starts_with("Queue held, 0 B free at /a"));
        space.update(&[room("/a", 99)], at);
        assert_eq!(space.explain("Idle".into()), "Idle");
        let actions = |space: &Space| space.untold.iter().map(|l| l.action).collect::<Vec<_>>();
        assert_eq!(actions(&space), ["queue.held", "queue.released"]);
        let now = Instant::now();
        assert_eq!(space.begin(now), Some(space.untold.clone()));
        assert_eq!(space.begin(now), None, "one at a time");
        space.done(&[room("/a", 99)], 1, now, at);
        assert_eq!(actions(&space), ["queue.released"]);
        assert!(space.is_busy());
        assert_eq!(space.begin(now).map(|lines| lines.len()), Some(1));
        space.done(&[room("/a", 99)], 1, now, at);
        assert!(!space.is_busy());
    }

    #[test]
    fn nothing_begins_on_an_old_measurement_unless_the_disk_does_not_answer() {
        let mut space = Space::new(Size::from_bytes(10));
        let now = Instant::now();
        assert!(!space.is_known(now));
        space.begin(now);
        assert!(!space.is_known(now));
        let slow = now + FRESH + FRESH / 2;
        space.done(&[], 0, slow, Timestamp::UNIX_EPOCH);
        assert!(space.is_known(slow) && !space.is_known(slow + FRESH));
        space.begin(slow + FRESH);
        assert!(!space.is_known(slow + FRESH) && space.is_known(slow + FRESH + HANGS));
    }

    #[test]
    fn nothing_measured_and_no_floor_hold_nothing() {
        let mut space = Space::new(Size::from_bytes(0));
        assert_eq!(space.update(&[], Timestamp::UNIX_EPOCH), None);
        assert_eq!(space.update(&[room("/a", 0)], Timestamp::UNIX_EPOCH), None);
        assert!(!space.is_held());
    }

    #[test]
    fn measures_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [folder.path().to_owned(), folder.path().join("missing")];
        let rooms = measure(&paths);
        assert_eq!((rooms.len(), &rooms[0].path), (1, &paths[0]));
    }
}
