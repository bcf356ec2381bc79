//! Free space on the disks: below the configured floor the queue is held. Pure except for
//! [`measure`] and the log.
//!
//! Invariant: while the queue is held nothing is claimed and no import begins; running imports,
//! mail and webhooks continue. It is released at a tenth above the floor, so that a disk at the
//! floor doesn't switch all the time. Every change is logged once, also in the activity log. That
//! may be on the full disk, so its lines stay pending until they can be written.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::sys::statvfs::statvfs;

use crate::config::{Config, Size};

/// The age up to which a measurement allows work to begin.
const FRESH: Duration = Duration::from_secs(2);
/// A measurement that takes this long hangs; it normally takes microseconds.
const HANGS: Duration = Duration::from_secs(5);

/// The free space of a folder's file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    pub path: PathBuf,
    /// Bytes free to users other than root.
    pub free: u64,
}

/// A line for the activity log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub at: Timestamp,
    /// `queue.held` or `queue.released`.
    pub action: &'static str,
    /// The disk and its free space.
    pub detail: String,
}

/// Whether the queue is held, and the pending lines of the activity log.
#[derive(Debug)]
pub struct Space {
    floor: Size,
    held: Option<Room>,
    untold: Vec<Line>,
    /// Begin of the running measurement.
    measuring: Option<Instant>,
    /// End of the last measurement.
    measured: Option<Instant>,
    /// Since when the queue is held.
    since: Option<Instant>,
}

/// A change by a measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The queue is held from now on, for this reason.
    Held(String),
    /// The queue is released after this time.
    Released(Duration),
}

impl Space {
    /// Creates it not held and without a measurement.
    pub fn new(floor: Size) -> Self {
        let (measuring, measured) = (None, None);
        Self { floor, held: None, untold: Vec::new(), measuring, measured, since: None }
    }

    /// Whether the queue is held.
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Whether the queue is held or a line for the activity log is pending.
    pub fn is_busy(&self) -> bool {
        self.is_held() || !self.untold.is_empty()
    }

    /// Whether the last measurement is recent enough at `now` to begin work. A measurement that
    /// hangs counts too: the work that needs the disk then reports it.
    pub fn is_known(&self, now: Instant) -> bool {
        let within = |since: Option<Instant>, limit| since.is_some_and(|at| now < at + limit);
        within(self.measured, FRESH) || self.measuring.is_some_and(|at| now >= at + HANGS)
    }

    /// Begins a measurement at `now`. Returns the pending lines to write with it; `None` if one is
    /// running.
    pub fn begin(&mut self, now: Instant) -> Option<Vec<Line>> {
        if self.measuring.is_some() {
            return None;
        }
        self.measuring = Some(now);
        Some(self.untold.clone())
    }

    /// Ends the measurement at `now`; the first `told` pending lines were written. Its age counts
    /// from its end, so that a slow disk doesn't cause endless measurements.
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

    /// Applies a measurement, and logs a change.
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
                    "the queue is held: {reason}; it is released when there is more space"
                );
                ("queue.held", reason.clone())
            }
            Change::Released(_) => {
                tracing::info!("the queue is released: there is enough free space again");
                ("queue.released", String::new())
            }
        };
        self.untold.push(Line { at, action, detail });
        Some(change)
    }

    /// Puts the reason before `status` while the queue is held.
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

/// Returns the folders whose disks are measured.
pub fn folders(config: &Config) -> [PathBuf; 3] {
    let paths = &config.paths;
    [paths.accounts.clone(), paths.state.clone(), paths.data()]
}

/// Measures the free space of each folder. A missing folder, or one that can't be measured, is left
/// out: the work that needs it reports the error.
pub fn measure(folders: &[PathBuf]) -> Vec<Room> {
    let room = |path: &PathBuf| Some(Room { path: path.clone(), free: free(path).ok()? });
    folders.iter().filter_map(room).collect()
}

/// Returns the bytes free to users other than root (statvfs(3)).
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
        assert_eq!(update(5_000, 0), None, "logged once");
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
