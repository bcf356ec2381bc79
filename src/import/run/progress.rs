//! [`Monitor`] has the progress of a running import, and its stop flag. Threads share it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use crate::report::{self, Counts};

/// The progress counters and the stop flag of one running import.
#[derive(Debug)]
pub struct Monitor {
    records: AtomicU64,
    rejected: AtomicU64,
    bytes: AtomicU64,
    total_bytes: AtomicU64,
    stop: AtomicBool,
    since: Instant,
}

/// A snapshot of a [`Monitor`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProgressSnapshot {
    /// The number of records that were read so far.
    pub records: u64,
    pub rejected: u64,
    /// The number of bytes of the data file that were read so far.
    pub bytes: u64,
    /// The size of the data file in bytes.
    pub total_bytes: u64,
    /// The number of seconds since the import began.
    pub seconds: f64,
}

impl Default for Monitor {
    fn default() -> Self {
        Self {
            records: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            total_bytes: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            since: Instant::now(),
        }
    }
}

impl Monitor {
    /// Sets the size of the data file in bytes.
    pub fn set_total(&self, bytes: u64) {
        self.total_bytes.store(bytes, Relaxed);
    }

    /// Sets the numbers of records and bytes that were read so far.
    pub fn set(&self, records: u64, bytes: u64) {
        self.records.store(records, Relaxed);
        self.bytes.store(bytes, Relaxed);
    }

    /// Adds `records` to the number of rejected records.
    pub fn reject(&self, records: u64) {
        self.rejected.fetch_add(records, Relaxed);
    }

    /// Asks the import to stop soon. No record is stored. The next run begins at the start of the
    /// file.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// Returns a snapshot of the progress.
    pub fn progress(&self) -> ProgressSnapshot {
        ProgressSnapshot {
            records: self.records.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            total_bytes: self.total_bytes.load(Relaxed),
            seconds: self.since.elapsed().as_secs_f64(),
        }
    }
}

impl ProgressSnapshot {
    /// Returns the number of records that were read per second.
    pub fn rate(self) -> f64 {
        if self.seconds > 0.0 { self.records as f64 / self.seconds } else { 0.0 }
    }

    /// Converts the progress to the form for a report that is written at `now`.
    pub fn to_report(self, now: Timestamp) -> report::Progress {
        let left =
            self.seconds_left().and_then(|left| SignedDuration::try_from_secs_f64(left).ok());
        report::Progress {
            at: now,
            bytes_read: self.bytes,
            records_per_second: self.rate() as u64,
            estimated_end: left.and_then(|left| now.checked_add(left).ok()).map(to_the_second),
        }
    }

    /// Returns the counts of records so far. No record is stored before the commit. Accepted
    /// records are those that were not rejected.
    pub fn counts(self) -> Counts {
        let rejected = self.rejected.min(self.records);
        Counts { read: self.records, accepted: self.records - rejected, rejected }
    }

    /// Estimates the remaining seconds of the import from the number of bytes read.
    pub fn seconds_left(self) -> Option<f64> {
        let known = self.bytes > 0 && self.total_bytes >= self.bytes;
        known.then(|| self.seconds * (self.total_bytes - self.bytes) as f64 / self.bytes as f64)
    }
}

/// Rounds an estimated time down to seconds, because the estimate is not more precise.
pub fn to_the_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::{Counts, ProgressSnapshot};

    #[test]
    fn remaining_time_is_estimated_from_bytes() {
        let progress = ProgressSnapshot {
            records: 100,
            rejected: 0,
            bytes: 250,
            total_bytes: 1000,
            seconds: 2.0,
        };
        assert_eq!((progress.rate(), progress.seconds_left()), (50.0, Some(6.0)));
        let reported = progress.to_report("2026-01-02T03:04:05.9Z".parse().unwrap());
        assert_eq!(reported.estimated_end, Some("2026-01-02T03:04:11Z".parse().unwrap()));
        let nothing =
            ProgressSnapshot { records: 0, rejected: 0, bytes: 0, total_bytes: 0, seconds: 0.0 };
        assert_eq!((nothing.rate(), nothing.seconds_left()), (0.0, None));
    }

    #[test]
    fn counts_add_up_during_concurrent_updates() {
        let progress =
            ProgressSnapshot { records: 3, rejected: 4, bytes: 9, total_bytes: 9, seconds: 1.0 };
        assert_eq!(progress.counts(), Counts { read: 3, accepted: 0, rejected: 3 });
    }
}
