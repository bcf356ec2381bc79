//! Measures the free space on the disks. Below the configured floor the queue is held. Pure except
//! for [`measure`] and the log.
//!
//! Invariant: while the queue is held nothing is claimed and no import begins; running imports,
//! mail and webhooks continue. The queue is released at a tenth above the floor, so that a disk
//! near the floor doesn't hold and release it all the time. Every change is logged once, also in
//! the activity log. The activity log may be on the full disk, so its lines stay pending until they
//! can be written.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::sys::statvfs::statvfs;

use crate::config::{Config, Size};

/// The maximum age of a measurement of free space that allows a scan or an import to begin.
const MAX_AGE: Duration = Duration::from_secs(2);
/// A measurement of free space that takes this long counts as hanging. A measurement normally takes
/// microseconds.
const HANGS: Duration = Duration::from_secs(5);

/// The free space of a folder's file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    pub path: PathBuf,
    /// The number of bytes that are free to users other than root.
    pub free: u64,
}

/// A line about the queue for the activity log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityEntry {
    pub at: Timestamp,
    /// The logged action: `queue.held` or `queue.released`.
    pub action: &'static str,
    /// The detail of the line names the disk and its free space.
    pub detail: String,
}

/// Whether the queue is held, and the pending lines of the activity log.
#[derive(Debug)]
pub struct FreeSpace {
    floor: Size,
    held: Option<DiskSpace>,
    pending: Vec<ActivityEntry>,
    /// The time at which the running measurement began. `None` if no measurement is running.
    measuring: Option<Instant>,
    /// The time at which the last measurement of free space ended.
    measured: Option<Instant>,
    /// The time since which the queue is held. `None` if the queue is not held.
    since: Option<Instant>,
}

/// The change of the queue that a measurement of free space causes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueChange {
    /// The queue is now held. The text is the reason.
    Held(String),
    /// The queue is released. The value is the time for which the queue was held.
    Released(Duration),
}

impl FreeSpace {
    /// Creates a `FreeSpace` without a measurement. The queue is not held.
    pub fn new(floor: Size) -> Self {
        let (measuring, measured) = (None, None);
        Self { floor, held: None, pending: Vec::new(), measuring, measured, since: None }
    }

    /// Returns whether the queue is held.
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Returns whether the queue is held or a line for the activity log is pending.
    pub fn is_busy(&self) -> bool {
        self.is_held() || !self.pending.is_empty()
    }

    /// Returns whether the last measurement is recent enough at `now` to begin work. A hanging
    /// measurement counts too: the work that needs the disk then reports the problem.
    pub fn is_known(&self, now: Instant) -> bool {
        let within = |since: Option<Instant>, limit| since.is_some_and(|at| now < at + limit);
        within(self.measured, MAX_AGE) || self.measuring.is_some_and(|at| now >= at + HANGS)
    }

    /// Begins a measurement of free space at `now`. Returns the pending lines to write with it.
    /// `None` if a measurement is already running.
    pub fn begin(&mut self, now: Instant) -> Option<Vec<ActivityEntry>> {
        if self.measuring.is_some() {
            return None;
        }
        self.measuring = Some(now);
        Some(self.pending.clone())
    }

    /// Ends the measurement at `now`. The first `written` pending lines were written. The age of a
    /// measurement counts from its end, so that a slow disk doesn't cause endless measurements.
    pub fn finish(
        &mut self,
        disks: &[DiskSpace],
        written: usize,
        now: Instant,
        at: Timestamp,
    ) -> Option<QueueChange> {
        (self.measuring, self.measured) = (None, Some(now));
        self.pending.drain(..written.min(self.pending.len()));
        self.update(disks, now, at)
    }

    /// Holds or releases the queue according to the measured space. Logs and returns the change.
    fn update(&mut self, disks: &[DiskSpace], now: Instant, at: Timestamp) -> Option<QueueChange> {
        let scarcest = disks.iter().min_by_key(|disk| disk.free)?;
        let (was_held, floor) = (self.is_held(), self.floor.bytes());
        let wanted = if was_held { floor.saturating_add(floor / 10) } else { floor };
        self.held = (scarcest.free < wanted).then(|| scarcest.clone());
        let change = match (was_held, &self.held) {
            (false, Some(_)) => QueueChange::Held(self.reason().unwrap_or_default()),
            (true, None) => {
                let since = self.since.take();
                QueueChange::Released(
                    since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since)),
                )
            }
            _ => return None,
        };
        let (action, detail) = match &change {
            QueueChange::Held(reason) => {
                self.since = Some(now);
                tracing::error!(
                    "the queue is held: {reason}; it will be released when more space is free"
                );
                ("queue.held", reason.clone())
            }
            QueueChange::Released(_) => {
                tracing::info!("the queue is released: there is enough free space again");
                ("queue.released", String::new())
            }
        };
        self.pending.push(ActivityEntry { at, action, detail });
        Some(change)
    }

    /// Adds the reason in front of `status` while the queue is held.
    pub fn explain(&self, status: String) -> String {
        match self.reason() {
            Some(reason) => format!("The queue is held: {reason}. {status}"),
            None => status,
        }
    }

    fn reason(&self) -> Option<String> {
        let DiskSpace { path, free } = self.held.as_ref()?;
        let (free, path) = (Size::from_bytes(*free), path.display());
        Some(format!(
            "{free} are free at {path}, which is less than imports.free-space-floor = {}",
            self.floor
        ))
    }
}

/// Returns the folders whose disks are measured.
pub fn folders(config: &Config) -> [PathBuf; 3] {
    let paths = &config.paths;
    [paths.accounts.clone(), paths.state.clone(), paths.data()]
}

/// Measures the free space of each folder. A folder that is missing or can't be measured is left
/// out, because the work that needs the folder reports the error.
pub fn measure(folders: &[PathBuf]) -> Vec<DiskSpace> {
    let disk = |path: &PathBuf| Some(DiskSpace { path: path.clone(), free: free(path).ok()? });
    folders.iter().filter_map(disk).collect()
}

/// Returns the number of bytes that are free to users other than root (statvfs(3)).
fn free(path: &Path) -> io::Result<u64> {
    let stat = statvfs(path)?;
    Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(path: &str, free: u64) -> DiskSpace {
        DiskSpace { path: path.into(), free }
    }

    #[test]
    fn the_queue_is_paused_when_space_is_low() {
        let mut space = FreeSpace::new(Size::from_bytes(1_000));
        let at = Timestamp::UNIX_EPOCH;
        let now = Instant::now();
        let mut update = |a, b| space.update(&[disk("/a", a), disk("/b", b)], now, at);
        assert_eq!(update(1_000, 1_000), None);
        let reason = "999 B are free at /b, which is less than imports.free-space-floor = 1.0 kB";
        assert_eq!(update(5_000, 999), Some(QueueChange::Held(reason.into())));
        assert_eq!(update(5_000, 0), None, "the change must be logged once");
        assert_eq!(update(0, 5_000), None, "a shortage on another disk must be no change");
        assert_eq!(update(1_099, 5_000), None, "the queue must still be held");
        assert!(matches!(update(1_100, 5_000), Some(QueueChange::Released(_))));
        assert_eq!(update(1_000, 5_000), None);
    }

    #[test]
    fn lines_stay_pending_until_they_are_written() {
        let mut space = FreeSpace::new(Size::from_bytes(10));
        let (now, at) = (Instant::now(), Timestamp::UNIX_EPOCH);
        space.update(&[disk("/a", 0)], now, at);
        assert!(space.explain("Idle".into()).starts_with("The queue is held: 0 B are free at /a"));
        space.update(&[disk("/a", 99)], now, at);
        assert_eq!(space.explain("Idle".into()), "Idle");
        let actions =
            |space: &FreeSpace| space.pending.iter().map(|l| l.action).collect::<Vec<_>>();
        assert_eq!(actions(&space), ["queue.held", "queue.released"]);
        assert_eq!(space.begin(now), Some(space.pending.clone()));
        assert_eq!(space.begin(now), None, "only one measurement may run at a time");
        space.finish(&[disk("/a", 99)], 1, now, at);
        assert_eq!(actions(&space), ["queue.released"]);
        assert!(space.is_busy());
        assert_eq!(space.begin(now).map(|lines| lines.len()), Some(1));
        space.finish(&[disk("/a", 99)], 1, now, at);
        assert!(!space.is_busy());
    }

    #[test]
    fn an_old_measurement_counts_if_the_disk_hangs() {
        let mut space = FreeSpace::new(Size::from_bytes(10));
        let now = Instant::now();
        assert!(!space.is_known(now));
        space.begin(now);
        assert!(!space.is_known(now));
        let slow = now + MAX_AGE + MAX_AGE / 2;
        space.finish(&[], 0, slow, Timestamp::UNIX_EPOCH);
        assert!(space.is_known(slow) && !space.is_known(slow + MAX_AGE));
        space.begin(slow + MAX_AGE);
        assert!(!space.is_known(slow + MAX_AGE) && space.is_known(slow + MAX_AGE + HANGS));
    }

    #[test]
    fn the_queue_is_not_paused_without_space_limit() {
        let mut space = FreeSpace::new(Size::from_bytes(0));
        let (now, at) = (Instant::now(), Timestamp::UNIX_EPOCH);
        assert_eq!(space.update(&[], now, at), None);
        assert_eq!(space.update(&[disk("/a", 0)], now, at), None);
        assert!(!space.is_held());
    }

    #[test]
    fn a_missing_folder_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [folder.path().to_owned(), folder.path().join("missing")];
        let disks = measure(&paths);
        assert_eq!((disks.len(), &disks[0].path), (1, &paths[0]));
    }
}
