//! Metrics of this process for Prometheus. There is one set of counters per process.
//!
//! Names follow prometheus.io/docs/practices/naming: base units, `_total` for counters. Labels are
//! fixed words, never an account, a file or an address. Counting takes a few atomic additions and
//! can't fail.

mod counters;
mod gauges;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

pub use gauges::{Gauges, Process};

use crate::report::Report;
use counters::COUNTERS;

/// Counts an import that began to run, `waited` after its pair was ready.
pub fn picked_up(waited: Duration) {
    COUNTERS.pickup.observe(waited.as_secs_f64());
}

/// Counts an import that ended with `report`.
pub fn ended(report: &Report) {
    counters::count_end(report);
}

/// Counts an import that failed because of the host and will be retried.
pub fn host_failed() {
    COUNTERS.host_failures.inc();
}

/// Counts a failed scan of an account.
pub fn look_failed() {
    COUNTERS.look_failures.inc();
}

/// Counts an attempt at a delivery. `kind` is the milestone's type; `outcome` is `delivered`,
/// `retried` or `failed`.
pub fn attempted(channel: &'static str, kind: &str, outcome: &'static str) {
    COUNTERS.attempts.with_label_values(&[channel, outcome]).inc();
    if outcome != "retried" {
        let kind = counters::known_kind(kind);
        COUNTERS.deliveries.with_label_values(&[channel, kind, outcome]).inc();
    }
}

/// Sets the number of accounts that inotify watches.
pub fn set_watched(accounts: usize) {
    WATCHED.store(accounts, Relaxed);
}

/// Returns the number of accounts that inotify watches.
pub fn watched() -> usize {
    WATCHED.load(Relaxed)
}

/// Sets whether claims and new imports are paused because disk space is low.
pub fn set_queue_held(held: bool) {
    HELD.store(held, Relaxed);
}

/// Returns whether claims and new imports are paused because disk space is low.
pub fn is_queue_held() -> bool {
    HELD.load(Relaxed)
}

static HELD: AtomicBool = AtomicBool::new(false);
static WATCHED: AtomicUsize = AtomicUsize::new(0);

/// Returns the page that Prometheus reads (text format 0.0.4): the counters and `gauges`.
pub fn page(gauges: &Gauges) -> String {
    let mut families = COUNTERS.registry.gather();
    families.extend(gauges.registry.gather());
    // Only invalid metric names fail, and a test encodes all names.
    prometheus::TextEncoder::new().encode_to_string(&families).unwrap_or_default()
}
