//! Tests of retention: the age at which data is removed, and the data that is never removed.

use std::time::Duration;

use jiff::Timestamp;

use super::host::{EVENTS, Host, names};
use crate::config::Period;
use crate::state::Error;

const DAY: Duration = Duration::from_secs(86_400);

fn count(host: &Host, sql: &str) -> i64 {
    host.importer
        .context
        .state
        .read(|tx| Ok::<_, Error>(tx.query_row(sql, [], |row| row.get(0))?))
        .unwrap()
}

/// Makes one completed import with answers, and marks its deliveries as delivered.
fn answered_import(host: &Host, stem: &str) {
    host.upload(stem, "event", EVENTS);
    host.run(&host.claim());
    host.sql(
        "UPDATE delivery SET state = 'delivered', next_attempt_at = NULL,
         finished_at = (SELECT at FROM milestone WHERE id = milestone) WHERE state = 'pending'",
    );
}

#[test]
fn rows_and_answers_are_removed_after_retention() {
    let host = Host::new();
    answered_import(&host, "e");
    let now = Timestamp::now();
    let sweep = |days: u32| host.importer.sweep(now + DAY * days).unwrap();
    let rows = || {
        let tables = ["import", "milestone", "delivery"];
        tables.map(|table| count(&host, &format!("SELECT count(*) FROM {table}")))
    };
    sweep(89);
    assert_eq!((names(host.results("")).len(), rows()), (3, [1, 2, 2]));
    sweep(91);
    assert_eq!((names(host.results("")).len(), rows()), (0, [1, 0, 0]));
    let summary = "SELECT count(*) FROM activity WHERE action = 'retention.removed'
                AND detail LIKE '1 answers in results/, 2 milestones%'";
    assert_eq!(count(&host, summary), 1);
    sweep(366);
    assert_eq!(rows(), [0, 0, 0]);
    assert_eq!(count(&host, "SELECT count(*) FROM activity WHERE action LIKE 'import.%'"), 0);
    assert_eq!(host.stored_events().len(), 1, "stored events are never removed");
    host.upload("e", "event", EVENTS);
    let report = host.run(&host.claim());
    assert_eq!(report["failure"]["message"], "Incorrect details in manifest file", "{report:#}");
}

#[test]
fn unfinished_imports_are_kept_at_any_age() {
    let host = Host::new();
    host.upload("pending", "event", EVENTS);
    // The deliveries of this import are pending.
    host.run(&host.claim());
    host.upload("waiting", "event", EVENTS);
    let waiting = host.claim();
    host.upload("cut", "event", EVENTS);
    let cut = host.claim();
    host.sql(&format!("UPDATE import SET state = 'running' WHERE id = '{cut}'"));
    host.importer.sweep(Timestamp::now() + DAY * 4000).unwrap();
    assert_eq!(count(&host, "SELECT count(*) FROM import"), 3);
    assert_eq!(count(&host, "SELECT count(*) FROM delivery WHERE state = 'pending'"), 2);
    assert_eq!(names(host.results("")).len(), 3, "a pending mail attaches the error file");
    for import in [&waiting, &cut] {
        assert_eq!(host.run(import)["state"], "completed");
    }
}

#[test]
fn a_sweep_removes_more_than_one_batch() {
    let host = Host::new();
    host.sql(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1234)
         INSERT INTO activity (at, account, action) SELECT 0, 'ACME-1', 'x' FROM n",
    );
    host.sql("INSERT INTO activity (at, account, action) VALUES (0, NULL, 'x')");
    host.importer.sweep(Timestamp::now()).unwrap();
    assert_eq!(count(&host, "SELECT count(*) FROM activity WHERE action = 'x'"), 0);
}

#[test]
fn rows_of_a_removed_account_are_removed() {
    let host = Host::new();
    answered_import(&host, "e");
    host.remove_account();
    host.importer.sweep(Timestamp::now() + DAY * 366).unwrap();
    assert_eq!(count(&host, "SELECT count(*) FROM import"), 0);
}

#[test]
fn completed_uploads_can_be_kept_longer() {
    let host = Host::with(|config| {
        config.retention.completed_uploads = Period::seconds(3600);
        config.retention.results = Period::seconds(0);
        config.retention.deliveries = Period::seconds(0);
    });
    host.upload("e", "event", EVENTS);
    let import = host.claim();
    host.run(&import);
    let now = Timestamp::now();
    host.importer.sweep(now).unwrap();
    assert_eq!(names(host.importer.context.layout.spool()), [import.as_str()]);
    host.importer.sweep(now + Duration::from_secs(3601)).unwrap();
    assert!(names(host.importer.context.layout.spool()).is_empty());
}

#[test]
fn refused_keys_are_removed_by_a_sweep() {
    let host = Host::new();
    let now = Timestamp::now();
    host.sql(&format!(
        "INSERT INTO refused SELECT id, 'SHA256:a', '::1', 'ED25519', 1, {at}, {at} FROM account",
        at = now.as_millisecond()
    ));
    let rows = || count(&host, "SELECT count(*) FROM refused");
    host.importer.sweep(now + DAY * 29).unwrap();
    assert_eq!(rows(), 1);
    host.importer.sweep(now + DAY * 31).unwrap();
    assert_eq!(rows(), 0);
}
