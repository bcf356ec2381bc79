//! What this process counts, for Prometheus: one set of counters, as there is one log.
//!
//! Names follow prometheus.io/docs/practices/naming: base units, `_total` on what only grows.
//! Labels come from fixed words alone; no account, file or address is ever one. Counting takes a
//! few atomic additions and never fails.

mod counters;
mod gauges;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

pub use gauges::{Gauges, Process};

use crate::report::Report;
use counters::COUNTERS;

/// An import began to run, `waited` after it was seen to be ready.
pub fn picked_up(waited: Duration) {
    COUNTERS.pickup.observe(waited.as_secs_f64());
}

/// An import ended as `report` says.
pub fn ended(report: &Report) {
    counters::count_end(report);
}

/// The host failed an import, which will be tried again.
pub fn host_failed() {
    COUNTERS.host_failures.inc();
}

/// An account could not be looked at.
pub fn look_failed() {
    COUNTERS.look_failures.inc();
}

/// An attempt at a delivery came to `outcome`: `delivered`, `retried` or `failed`. `kind` is the
/// milestone's type.
pub fn attempted(channel: &'static str, kind: &str, outcome: &'static str) {
    COUNTERS.attempts.with_label_values(&[channel, outcome]).inc();
    if outcome != "retried" {
        let kind = counters::known_kind(kind);
        COUNTERS.deliveries.with_label_values(&[channel, kind, outcome]).inc();
    }
}

/// inotify watches this many accounts.
pub fn set_watched(accounts: usize) {
    WATCHED.store(accounts, Relaxed);
}

/// How many accounts inotify watches.
pub fn watched() -> usize {
    WATCHED.load(Relaxed)
}

/// Whether nothing is claimed and begun, for want of room.
pub fn set_queue_held(held: bool) {
    HELD.store(held, Relaxed);
}

/// Whether it is.
pub fn is_queue_held() -> bool {
    HELD.load(Relaxed)
}

static HELD: AtomicBool = AtomicBool::new(false);
static WATCHED: AtomicUsize = AtomicUsize::new(0);

/// The page that Prometheus reads (its text format 0.0.4): the counters, and `gauges` as set.
pub fn page(gauges: &Gauges) -> String {
    let mut families = COUNTERS.registry.gather();
    families.extend(gauges.registry.gather());
    // Only names that break the format's rules fail; a test reads all of ours.
    prometheus::TextEncoder::new().encode_to_string(&families).unwrap_or_default()
}
