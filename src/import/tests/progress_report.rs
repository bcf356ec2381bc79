//! Tests of progress reports: their content, and that no round overwrites a final answer.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::host::{EVENTS, Host, names};
use crate::config::Period;
use crate::import::Monitor;

fn answer(host: &Host, stem: &str) -> Value {
    let json = std::fs::read(host.results(&format!("{stem}.result.json"))).unwrap();
    serde_json::from_slice(&json).unwrap()
}

#[test]
fn a_queued_imports_report_shows_its_place() {
    let host = Host::new();
    for stem in ["a", "b", "c"] {
        host.upload(stem, "event", EVENTS);
        // The pause makes the times of the files differ.
        std::thread::sleep(Duration::from_millis(10));
    }
    let queued = host.scan().queued;
    assert!(!host.importer.report_progress(&[]).unwrap(), "no milestone may be enqueued yet");
    for (place, stem) in [(1, "a"), (2, "b"), (3, "c")] {
        let answer = answer(&host, stem);
        assert_eq!((&answer["state"], &answer["place"]), (&"queued".into(), &place.into()));
        assert_eq!(answer["dataFile"], format!("{stem}.csv"));
        assert_eq!(answer["startedAt"], Value::Null);
    }
    assert_eq!(host.run(&queued[0].id)["state"], "completed");
    host.importer.report_progress(&[]).unwrap();
    assert_eq!(answer(&host, "a")["state"], "completed", "no round overwrites a final answer");
    assert_eq!(answer(&host, "a").get("place"), None);
    assert_eq!(answer(&host, "b")["place"], 1);
    let answers = ["a.errors.csv", "a.errors.jsonl", "a.result.json", "b.result.json"];
    assert_eq!(names(host.results(""))[..4], answers, "no temporary file remains");
}

#[test]
fn a_running_import_reports_its_progress() {
    let host = Host::new();
    host.upload("e", "event", EVENTS);
    let import = host.claim();
    let monitor = Arc::new(Monitor::default());
    monitor.set_total(1000);
    monitor.set(8, 250);
    monitor.reject(1);
    host.sql("UPDATE import SET state = 'running', started_at = 1000");
    let running = [(import.clone(), monitor)];
    host.importer.report_progress(&running).unwrap();
    let report = answer(&host, "e");
    assert_eq!(report["state"], "running");
    assert_eq!(report["records"], serde_json::json!({"read": 8, "accepted": 7, "rejected": 1}));
    assert_eq!((&report["bytes"], &report["progress"]["bytesRead"]), (&1000.into(), &250.into()));
    let end: Timestamp = report["progress"]["estimatedEnd"].as_str().unwrap().parse().unwrap();
    assert!(
        end >= report["progress"]["at"].as_str().unwrap().parse::<Timestamp>().unwrap()
            - jiff::SignedDuration::from_secs(1)
    );

    // The state is the same as after a crash: the process with the monitor has ended.
    host.importer.report_progress(&[]).unwrap();
    let report = answer(&host, "e");
    assert_eq!((&report["state"], report.get("progress")), (&"queued".into(), None));

    // While the final answer is being written, a round writes no report.
    let row = host.row(&import);
    let final_answer = host.importer.runs.progress_reports.begin_final_answer(&row.id);
    host.importer.report_progress(&running).unwrap();
    assert_eq!(answer(&host, "e")["state"], "queued");
    drop(final_answer);
    host.importer.report_progress(&running).unwrap();
    assert_eq!(answer(&host, "e")["state"], "running");
}

#[test]
fn still_processing_is_sent_once_per_interval() {
    let host = Host::with(|config| config.milestones.still_processing_every = Period::seconds(60));
    host.upload("e", "event", EVENTS);
    let import = host.claim();
    assert!(!host.importer.report_progress(&[]).unwrap());
    host.sql("UPDATE import SET received_at = received_at - 61000");
    assert!(host.importer.report_progress(&[]).unwrap());
    assert!(
        !host.importer.report_progress(&[]).unwrap(),
        "only one milestone per interval is allowed"
    );
    assert_eq!(host.mails(&import), ["import.still_processing"]);
    assert_eq!(host.log(&import)[1..], ["import.still_processing"]);
    let details = host.column("SELECT detail FROM activity WHERE import = ?1 ORDER BY id", &import);
    assert_eq!(details[1], "e.manifest: queued, place 1");

    // A restart loses no milestone, because milestones and their times are in the state database.
    host.sql("UPDATE milestone SET at = at - 61000");
    let monitor = Arc::new(Monitor::default());
    monitor.set_total(1000);
    monitor.set(8, 250);
    assert!(host.importer.report_progress(&[(import.clone(), monitor)]).unwrap());
    let bodies = host.column("SELECT body FROM milestone WHERE import = ?1 ORDER BY at", &import);
    let body: Value = serde_json::from_str(&bodies[1]).unwrap();
    assert_eq!(body["type"], "import.still_processing");
    assert_eq!(
        (&body["data"]["state"], &body["data"]["records"]["read"]),
        (&"running".into(), &8.into())
    );
    assert_eq!(body["data"]["progress"]["bytesRead"], 250);

    host.run(&import);
    host.sql("UPDATE milestone SET at = at - 61000");
    assert!(!host.importer.report_progress(&[]).unwrap(), "the import has ended");
}

#[test]
fn a_retried_import_is_reported_again() {
    let host = Host::with(|config| config.milestones.still_processing_every = Period::seconds(60));
    host.upload("e", "event", "evtName,identity\n,a\n");
    let import = host.claim();
    assert_eq!(host.run(&import)["state"], "failed");
    host.sql("UPDATE milestone SET at = at - 61000; UPDATE import SET received_at = 0");
    let (state, layout) = (&host.importer.context.state, &host.importer.context.layout);
    crate::import::retry(state, layout, &host.row(&import), Timestamp::now()).unwrap();
    assert!(!host.importer.report_progress(&[]).unwrap(), "the wait begins at the retry");
    assert_eq!(answer(&host, "e")["state"], "queued");
    assert_eq!(host.run(&import)["state"], "failed");
    let twice = ["import.picked_up", "import.failed", "import.picked_up", "import.failed"];
    assert_eq!(host.mails(&import), twice);
}
