//! [`Retries`]: counts the consecutive failed attempts of each import.
//!
//! The counts are lost at a restart, because the restart may have fixed the host.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::decide;
use crate::import_id::ImportId;

/// The imports whose last attempt failed, with their failed attempts.
#[derive(Debug, Default)]
pub struct Retries(Mutex<HashMap<ImportId, FailedTries>>);

/// The number and the time of the consecutive failed attempts of one import.
#[derive(Clone, Copy, Debug)]
pub(super) struct FailedTries {
    /// The time at which the first failed attempt ended.
    pub(super) since: Instant,
    pub(super) count: u32,
}

impl Retries {
    /// Counts one more failed attempt of `import`.
    pub(super) fn count(&self, import: &ImportId) -> FailedTries {
        let mut all = self.lock();
        let new = FailedTries { since: Instant::now(), count: 0 };
        let tries = all.entry(import.clone()).or_insert(new);
        tries.count += 1;
        *tries
    }

    /// Removes the failed attempts of `import`, which has ended.
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

    /// Counts an attempt of `import` that ended in an error. Returns the pause before the next
    /// attempt.
    pub fn pause_after_error(&self, import: &ImportId) -> Duration {
        decide::pause(self.count(import).count)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ImportId, FailedTries>> {
        // After a panic, the count of an entry can be wrong by one attempt.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
