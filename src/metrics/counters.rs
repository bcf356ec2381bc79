//! Metrics that any part of the process updates: counters, histograms, and two gauges.

use std::sync::LazyLock;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

use crate::report::{FailureText, ImportState, Report};

/// The buckets of the waiting time before an import starts, in seconds. Most pairs are picked up
/// within milliseconds; others wait for earlier pairs.
const PICKUP: &[f64] = &[0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 1800.0, 7200.0];

/// The buckets of the duration of an import, in seconds. Imports have a few records, or up to 5 GB
/// on a slow machine.
const DURATION: &[f64] =
    &[0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0];

/// The types of milestones and notices that are delivered.
const KINDS: [&str; 6] = [
    "import.picked_up",
    "import.still_processing",
    "import.completed",
    "import.failed",
    "webhook.disabled",
    "file.unclaimed",
];

pub(super) struct Counters {
    pub registry: Registry,
    pickup: Histogram,
    host_failures: IntCounter,
    scan_failures: IntCounter,
    attempts: IntCounterVec,
    deliveries: IntCounterVec,
    imports: IntCounterVec,
    failures: IntCounterVec,
    duration: HistogramVec,
    read: IntCounter,
    accepted: IntCounter,
    rejected: IntCounter,
    bytes: IntCounter,
    watched_accounts: IntGauge,
    queue_held: IntGauge,
}

pub(super) static COUNTERS: LazyLock<Counters> = LazyLock::new(Counters::new);

impl Counters {
    fn new() -> Self {
        let registry = Registry::new();
        let r = &registry;
        let one = |name, help| register(r, IntCounter::new(total(name), help));
        let many = |name, help, labels: &[&str]| {
            register(r, IntCounterVec::new(Opts::new(total(name), help), labels))
        };
        let pickup = HistogramOpts::new(
            "sftp_import_pickup_latency_seconds",
            "Time from when a pair is ready to the start of its import.",
        );
        let duration = HistogramOpts::new(
            "sftp_import_import_duration_seconds",
            "Time from the first start of an import to its end.",
        );
        let duration = HistogramVec::new(duration.buckets(DURATION.to_vec()), &["type"]);
        let watched = ("sftp_import_watched_accounts", "Accounts that inotify watches.");
        let held = (
            "sftp_import_queue_held",
            "1 if no import is claimed or started because disk space is low.",
        );
        let counters = Self {
            pickup: register(r, Histogram::with_opts(pickup.buckets(PICKUP.to_vec()))),
            host_failures: one("host_failures", "Import runs that failed because of the host."),
            scan_failures: one("look_failures", "Scans of accounts that failed."),
            attempts: many("delivery_attempts", "Attempts at deliveries.", &["channel", "outcome"]),
            deliveries: many(
                "deliveries",
                "Deliveries that were made or given up.",
                &["channel", "kind", "outcome"],
            ),
            imports: many("imports", "Imports that have ended.", &["type", "state"]),
            failures: many("import_failures", "Failed imports, by reason.", &["reason"]),
            duration: register(r, duration),
            read: one("records_read", "Records read by imports that have ended."),
            accepted: one("records_accepted", "Records accepted by imports that have ended."),
            rejected: one("records_rejected", "Records rejected by imports that have ended."),
            bytes: one("read_bytes", "Bytes of data files read by imports that have ended."),
            watched_accounts: register(r, IntGauge::new(watched.0, watched.1)),
            queue_held: register(r, IntGauge::new(held.0, held.1)),
            registry,
        };
        counters.begin_at_zero();
        counters
    }

    /// Creates all known label values at 0. Otherwise an alarm on `rate()` would miss the first
    /// increase.
    fn begin_at_zero(&self) {
        for kind in ["event", "profile", "unknown"] {
            for state in ["completed", "failed"] {
                self.imports.with_label_values(&[kind, state]);
            }
        }
        for text in FailureText::ALL.map(Some).into_iter().chain([None]) {
            self.failures.with_label_values(&[reason(text)]);
        }
        for channel in ["email", "webhook"] {
            for outcome in ["delivered", "retried", "failed"] {
                self.attempts.with_label_values(&[channel, outcome]);
            }
        }
    }
}

fn total(name: &str) -> String {
    format!("sftp_import_{name}_total")
}

/// Adds a metric to `registry`.
pub(super) fn register<M: Collector + Clone + 'static>(
    registry: &Registry,
    metric: prometheus::Result<M>,
) -> M {
    const VALID: &str = "names and labels are valid and unique: the tests create all of them";
    let metric = metric.expect(VALID);
    registry.register(Box::new(metric.clone())).expect(VALID);
    metric
}

/// Counts an import that began to run. `waited` is the time from when its pair was ready.
pub fn count_pickup(waited: Duration) {
    COUNTERS.pickup.observe(waited.as_secs_f64());
}

/// Counts an import that ended with `report`.
pub fn count_end(report: &Report) {
    let counters = &*COUNTERS;
    let kind = report.data_type.map_or("unknown", |kind| kind.as_str());
    counters.imports.with_label_values(&[kind, report.state.as_str()]).inc();
    if report.state == ImportState::Failed {
        let text = report.failure.as_ref().map(|failure| failure.message);
        counters.failures.with_label_values(&[reason(text)]).inc();
    }
    counters.read.inc_by(report.records.read);
    counters.accepted.inc_by(report.records.accepted);
    counters.rejected.inc_by(report.records.rejected);
    counters.bytes.inc_by(report.bytes);
    if let (Some(started), Some(finished)) = (report.started_at, report.finished_at) {
        let took = finished.duration_since(started).as_secs_f64().max(0.0);
        counters.duration.with_label_values(&[kind]).observe(took);
    }
}

/// Returns the metric label for the reason of a failed import. `None` means that every record was
/// rejected.
fn reason(text: Option<FailureText>) -> &'static str {
    match text {
        Some(FailureText::NoDataFile) => "no_data_file",
        Some(FailureText::Unreadable) => "unreadable",
        Some(FailureText::Manifest) => "manifest",
        Some(FailureText::Infra) => "infra",
        Some(FailureText::Internal) => "internal",
        None => "all_rejected",
    }
}

/// Counts an import that failed because of the host and will be retried.
pub fn count_host_failure() {
    COUNTERS.host_failures.inc();
}

/// Counts a failed scan of an account.
pub fn count_scan_failure() {
    COUNTERS.scan_failures.inc();
}

/// Counts an attempt at a delivery. `kind` is the milestone's type; `outcome` is `delivered`,
/// `retried` or `failed`.
pub fn count_attempt(channel: &'static str, kind: &str, outcome: &'static str) {
    COUNTERS.attempts.with_label_values(&[channel, outcome]).inc();
    if outcome != "retried" {
        COUNTERS.deliveries.with_label_values(&[channel, kind_label(kind), outcome]).inc();
    }
}

/// Returns `kind` as a label value, which is always a fixed word.
fn kind_label(kind: &str) -> &'static str {
    KINDS.into_iter().find(|known| *known == kind).unwrap_or("other")
}

/// Sets the number of accounts that inotify watches.
pub fn set_watched_accounts(accounts: usize) {
    COUNTERS.watched_accounts.set(accounts as i64);
}

/// Sets whether claims and new imports are paused because disk space is low.
pub fn set_queue_held(held: bool) {
    COUNTERS.queue_held.set(held.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_kinds_share_a_label() {
        assert_eq!(kind_label("import.failed"), "import.failed");
        assert_eq!(kind_label("x\"y"), "other");
    }

    #[test]
    fn counts_the_end_of_an_import() {
        let before = COUNTERS.accepted.get();
        let now = jiff::Timestamp::now();
        let mut report = Report::queued("e.manifest", now);
        report.state = ImportState::Completed;
        report.records.accepted = 3;
        (report.started_at, report.finished_at) = (Some(now), Some(now));
        count_end(&report);
        assert!(COUNTERS.accepted.get() >= before + 3, "other tests may count too");
    }
}
