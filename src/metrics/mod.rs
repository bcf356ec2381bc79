//! Metrics of this process for Prometheus. There is one set of counters per process.
//!
//! Names follow prometheus.io/docs/practices/naming: base units, `_total` for counters. Labels are
//! fixed words, never an account, a file or an address. Counting takes a few atomic additions and
//! can't fail.

mod counters;
mod gauges;

pub use counters::{
    count_attempt, count_end, count_host_failure, count_pickup, count_scan_failure, set_queue_held,
    set_watched_accounts,
};
pub use gauges::{Gauges, Process};

use counters::COUNTERS;

/// Returns the page that Prometheus reads (text format 0.0.4): the counters and `gauges`.
pub fn page(gauges: &Gauges) -> String {
    let mut families = COUNTERS.registry.gather();
    families.extend(gauges.registry.gather());
    // Encoding fails only for invalid metric names, and a test encodes all names.
    prometheus::TextEncoder::new().encode_to_string(&families).unwrap_or_default()
}
