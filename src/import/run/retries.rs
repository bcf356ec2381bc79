//! [`Retries`]: counts the consecutive failed tries of each import.
//!
//! A restart forgets them, since it may have fixed the host.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::decide;
use crate::import_id::ImportId;

/// The imports whose last try failed.
#[derive(Debug, Default)]
pub struct Retries(Mutex<HashMap<ImportId, FailedTries>>);

/// Consecutive failed tries of one import.
#[derive(Clone, Copy, Debug)]
pub(super) struct FailedTries {
    /// When the first one ended.
    pub(super) since: Instant,
    pub(super) count: u32,
}

impl Retries {
    /// Counts one more failed try of `import`.
    pub(super) fn count(&self, import: &ImportId) -> FailedTries {
        let mut all = self.lock();
        let new = FailedTries { since: Instant::now(), count: 0 };
        let tries = all.entry(import.clone()).or_insert(new);
        tries.count += 1;
        *tries
    }

    /// Forgets the failed tries of `import`, which has ended.
    pub(super) fn forget(&self, import: &ImportId) {
        self.lock().remove(import);
    }

    /// Extends every import's retry window by `held`, the time for which the queue was held.
    pub fn extend(&self, held: Duration) {
        let now = Instant::now();
        for tries in self.lock().values_mut() {
            tries.since = (tries.since + held).min(now);
        }
    }

    /// Counts a try of `import` that ended in an error. Returns the pause before the next try.
    pub fn pause_after_error(&self, import: &ImportId) -> Duration {
        decide::pause(self.count(import).count)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ImportId, FailedTries>> {
        // A panic leaves an entry that is at most one try off.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
