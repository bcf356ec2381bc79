//! Counters and histograms: events since the start of this process.

use std::sync::LazyLock;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
};

use crate::report::{FailureText, ImportState, Report};

/// Buckets in seconds: a pair is picked up within milliseconds, or waits for earlier ones.
const PICKUP: &[f64] = &[0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 1800.0, 7200.0];

/// Buckets in seconds: from a few records to 5 GB on a slow machine.
const DURATION: &[f64] =
    &[0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0];

/// The kinds of milestones and notices that are delivered.
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
    pub pickup: Histogram,
    pub host_failures: IntCounter,
    pub look_failures: IntCounter,
    pub attempts: IntCounterVec,
    pub deliveries: IntCounterVec,
    imports: IntCounterVec,
    failures: IntCounterVec,
    duration: HistogramVec,
    read: IntCounter,
    accepted: IntCounter,
    rejected: IntCounter,
    bytes: IntCounter,
}

pub(super) static COUNTERS: LazyLock<Counters> = LazyLock::new(Counters::new);

impl Counters {
    fn new() -> Self {
        let registry = Registry::new();
        let r = &registry;
        let counters = Self {
            pickup: pickup(r),
            host_failures: one(r, "host_failures", "Import runs that the host made fail."),
            look_failures: one(r, "look_failures", "Scans of accounts that failed."),
            attempts: many(
                r,
                "delivery_attempts",
                "Attempts at deliveries.",
                &["channel", "outcome"],
            ),
            deliveries: many(
                r,
                "deliveries",
                "Deliveries made or given up.",
                &["channel", "kind", "outcome"],
            ),
            imports: many(r, "imports", "Imports that have ended.", &["type", "state"]),
            failures: many(r, "import_failures", "Failed imports, by reason.", &["reason"]),
            duration: duration(r),
            read: one(r, "records_read", "Records read by imports that have ended."),
            accepted: one(r, "records_accepted", "Records accepted by imports that have ended."),
            rejected: one(r, "records_rejected", "Records rejected by imports that have ended."),
            bytes: one(r, "read_bytes", "Bytes of data files read by imports that have ended."),
            registry,
        };
        counters.begin_at_zero();
        counters
    }

    /// Creates all known label values at 0. An alarm on `rate()` would miss the first event
    /// otherwise.
    fn begin_at_zero(&self) {
        for kind in ["event", "profile", "unknown"] {
            for state in ["completed", "failed"] {
                self.imports.with_label_values(&[kind, state]);
            }
        }
        for text in [
            FailureText::NoDataFile,
            FailureText::Unreadable,
            FailureText::Manifest,
            FailureText::Infra,
            FailureText::Internal,
        ] {
            self.failures.with_label_values(&[reason(Some(text))]);
        }
        self.failures.with_label_values(&[reason(None)]);
        for channel in ["email", "webhook"] {
            for outcome in ["delivered", "retried", "failed"] {
                self.attempts.with_label_values(&[channel, outcome]);
            }
        }
    }
}

pub(super) fn count_end(report: &Report) {
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

/// Returns the label for a failure; `None` means that every record was rejected.
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

/// Returns `kind` as a label value, which is always a fixed word.
pub(super) fn known_kind(kind: &str) -> &'static str {
    KINDS.into_iter().find(|known| *known == kind).unwrap_or("other")
}

const VALID: &str = "names and labels are valid and unique: the tests create all of them";

fn one(registry: &Registry, name: &str, help: &str) -> IntCounter {
    let made = IntCounter::new(format!("sftp_import_{name}_total"), help).expect(VALID);
    registry.register(Box::new(made.clone())).expect(VALID);
    made
}

fn many(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    let options = Opts::new(format!("sftp_import_{name}_total"), help);
    let made = IntCounterVec::new(options, labels).expect(VALID);
    registry.register(Box::new(made.clone())).expect(VALID);
    made
}

fn pickup(registry: &Registry) -> Histogram {
    let help = "Time from a pair being ready to the start of its import.";
    let options = HistogramOpts::new("sftp_import_pickup_latency_seconds", help);
    let made = Histogram::with_opts(options.buckets(PICKUP.to_vec())).expect(VALID);
    registry.register(Box::new(made.clone())).expect(VALID);
    made
}

fn duration(registry: &Registry) -> HistogramVec {
    let help = "Time from the first start of an import to its end.";
    let options = HistogramOpts::new("sftp_import_import_duration_seconds", help);
    let options = options.buckets(DURATION.to_vec());
    let made = HistogramVec::new(options, &["type"]).expect(VALID);
    registry.register(Box::new(made.clone())).expect(VALID);
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_nobody_knows_makes_no_label() {
        assert_eq!(known_kind("import.failed"), "import.failed");
        assert_eq!(known_kind("x\"y"), "other");
    }

    #[test]
    fn an_end_is_counted() {
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
