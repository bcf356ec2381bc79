//! Tests the Prometheus alarms of the package with promtool, and compares the metrics with their
//! documentation.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use sftp_import::metrics::{Gauges, page};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[track_caller]
fn promtool(arguments: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("prometheus");
    let output = Command::new("promtool").args(arguments).current_dir(folder).output();
    let output = output.expect("promtool, of Debian's prometheus, is installed");
    assert!(output.status.success(), "{output:#?}");
}

#[test]
fn alarms_are_valid_and_match_their_examples() {
    promtool(&["check", "rules", "sftp-import.rules.yml"]);
    promtool(&["test", "rules", "sftp-import.test.yml"]);
}

#[test]
fn every_alarm_has_an_example_that_raises_it() {
    let (rules, examples) =
        (read("prometheus/sftp-import.rules.yml"), read("prometheus/sftp-import.test.yml"));
    let alarms: Vec<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alarms.len() > 10, "{alarms:?}");
    for alarm in alarms {
        let raised = format!("alertname=\"{alarm}\"}}', value: 1");
        assert!(examples.contains(&raised), "{alarm}");
    }
}

/// Returns the names of metrics in `text`, without the suffixes of histograms.
fn names(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !word(c));
    let words = words.filter(|w| w.starts_with("sftp_import_") || w.starts_with("process_"));
    words.map(str::to_owned).collect()
}

/// Returns the metrics that the program exports, from the comments of its own page.
fn exported() -> BTreeSet<String> {
    let gauges = Gauges::new(0.0);
    gauges.imports("queued", 0.0, 0.0);
    gauges.accounts("active", 0.0);
    gauges.deliveries("email", 0.0, 0.0);
    gauges.endpoints("enabled", 0.0);
    gauges.file_system("state", 0.0, 0.0);
    sftp_import::metrics::count_attempt("email", "import.failed", "delivered");
    let report = sftp_import::report::Report::queued("e.manifest", jiff::Timestamp::now());
    sftp_import::metrics::count_end(&sftp_import::report::Report {
        started_at: Some(report.received_at),
        finished_at: Some(report.received_at),
        ..report
    });
    let page = page(&gauges);
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn the_documentation_lists_every_metric() {
    let table = read("docs/metrics.md");
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let first = rows.filter_map(|line| line.split('`').nth(1)).collect::<Vec<_>>().join(" ");
    assert_eq!(names(&first), exported());
}

#[test]
fn alarms_use_only_existing_metrics() {
    let (asked, exported) = (names(&read("prometheus/sftp-import.rules.yml")), exported());
    let unknown: Vec<_> = asked.difference(&exported).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(asked.len() > 10, "{asked:?}");
}

#[test]
fn every_milestone_has_a_documented_message_id() {
    use sftp_import::outbox::Milestone::{Completed, Failed, PickedUp, StillProcessing};
    let document = read("docs/metrics.md");
    let milestones = [PickedUp, StillProcessing, Completed, Failed];
    for milestone in milestones {
        let id = milestone.journal_id();
        let row = format!("\n| `{}` | `{id}` |\n", milestone.as_str());
        assert!(document.contains(&row), "{row}");
        assert!(id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
        assert_eq!(&id[12..13], "4", "the id must be a random UUID like those of systemd-id128");
    }
    let ids: BTreeSet<_> = milestones.map(|milestone| milestone.journal_id()).into();
    assert_eq!(ids.len(), milestones.len());
}
