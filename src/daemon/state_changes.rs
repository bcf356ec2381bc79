//! Watches the state database for writes by any process: the daemon or a command of a sysadmin.
//!
//! inotify reports writes to the write-ahead log; `data_version` shows whether another process
//! wrote. Invariant: a burst of writes causes one wake-up, soon after the first write. If inotify
//! is not available, the daemon logs this and checks the database every second.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};
use inotify::{EventMask, EventOwned, EventStream, Inotify, WatchMask};
use tokio::time::sleep_until;

/// The time after a first write within which other writes share its wake-up. A command or a small
/// import takes about this long.
const GATHER: Duration = Duration::from_millis(500);

/// The size of the buffer for inotify events, in bytes. It has room for a few events, which is
/// enough: the kernel merges equal events.
const BUFFER: usize = 4096;

/// The inotify watch on the write-ahead log of the state database.
pub struct StateChanges {
    /// The stream of inotify events. `None` if inotify failed.
    events: Option<EventStream<Vec<u8>>>,
    /// The time at which the wake-up for the gathered writes is due.
    due: Option<Instant>,
}

impl StateChanges {
    /// Watches the state database at `path`. Must be called inside a tokio runtime.
    pub fn watch(path: &Path) -> Self {
        let events = listen(path.parent().unwrap_or(Path::new("/"))).inspect_err(|error| {
            tracing::warn!(
                "cannot use inotify, so the state database is read every second: {error}"
            );
        });
        Self { events: events.ok(), due: None }
    }

    /// Returns whether the inotify watch works.
    pub fn is_working(&self) -> bool {
        self.events.is_some()
    }

    /// Waits for writes to the state database. The call can be cancelled and repeated without
    /// losing a write.
    pub async fn next(&mut self) {
        let Some(events) = &mut self.events else { return std::future::pending().await };
        while self.due.is_none() {
            match events.next().await {
                Some(Ok(event)) if may_be_commit(&event) => {
                    self.due = Some(Instant::now() + GATHER)
                }
                Some(Ok(_)) => {}
                failed => {
                    let error = failed.and_then(Result::err).map(|error| error.to_string());
                    tracing::error!("cannot read inotify events: {}", error.unwrap_or_default());
                    self.events = None;
                    return;
                }
            }
        }
        if let Some(due) = self.due {
            sleep_until(due.into()).await;
        }
        // An error that occurs at this point occurs again in the next wait, which handles it.
        while let Some(Some(Ok(_))) = events.next().now_or_never() {}
        self.due = None;
    }
}

fn listen(folder: &Path) -> std::io::Result<EventStream<Vec<u8>>> {
    let inotify = Inotify::init()?;
    inotify.watches().add(folder, WatchMask::MODIFY | WatchMask::ONLYDIR)?;
    inotify.into_event_stream(vec![0; BUFFER])
}

/// Returns whether an inotify event reports a write to the write-ahead log, or may hide such a
/// write. Every commit begins with such a write.
fn may_be_commit(event: &EventOwned) -> bool {
    let is_log = event.name.as_ref().is_some_and(|name| name.as_encoded_bytes().ends_with(b"-wal"));
    is_log || event.mask.contains(EventMask::Q_OVERFLOW)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tokio::time::timeout;

    use super::*;
    use crate::state::{State, activity};

    fn write(state: &State) {
        state.write(|tx| activity::log(tx, Timestamp::UNIX_EPOCH, None, None, "test", "")).unwrap();
    }

    #[tokio::test]
    async fn a_burst_of_writes_causes_one_wake_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let (state, other) = (State::open(&path).unwrap(), State::open(&path).unwrap());
        let mut changes = StateChanges::watch(&path);
        assert!(changes.is_working());
        let version = state.data_version().unwrap();
        for _ in 0..2 {
            (0..20).for_each(|_| write(&other));
            for _ in 0..3 {
                // A wait that is cancelled loses no write.
                assert!(timeout(GATHER / 10, changes.next()).await.is_err());
            }
            timeout(GATHER * 20, changes.next()).await.unwrap();
        }
        assert_ne!(state.data_version().unwrap(), version);
        assert!(timeout(GATHER * 3, changes.next()).await.is_err());
    }
}
