//! Tests of whole imports on a host in a temporary folder, from upload to answer. They include
//! failures.

mod after_restore;
mod early_start;
pub(super) mod host;
mod interleavings;
mod interruptions;
mod progress_report;
mod retention;
mod reused_names;
mod spool_cleanup;
mod store_check;
mod unclaimed;
mod upgrade;

use jiff::Timestamp;

use self::host::{EVENTS, Host, names};
use crate::config::{Period, Size};
use crate::recipient::RecipientRule;
use crate::report::FailureText;
use crate::state::accounts;

#[test]
fn an_event_pair_is_stored_and_answered() {
    let host = Host::new();
    host.upload("e", "event", EVENTS);
    let import = host.claim();
    let report = host.run(&import);
    assert_eq!(report["state"], "completed", "{report:#}");
    assert_eq!(report["records"]["accepted"], 1);
    assert_eq!(report["errorFile"], "e.errors.csv");
    let errors = std::fs::read_to_string(host.results("e.errors.csv")).unwrap();
    assert!(errors.contains(",b@example.com,2,\"Event name is mandatory"), "{errors}");
    let answers = ["e.errors.csv", "e.errors.jsonl", "e.result.json"];
    assert_eq!(names(host.results("")), answers);
    assert_eq!(host.stored_events(), [format!("import={import}")]);
    assert!(names(host.importer.context.layout.incoming(&host.account)).is_empty());
    assert!(
        names(host.importer.context.layout.spool()).is_empty(),
        "a completed import leaves no files"
    );
    let milestones = ["import.picked_up", "import.completed"];
    assert_eq!(host.mails(&import), milestones);
    assert_eq!(host.log(&import)[1..], milestones);
}

#[test]
fn a_profile_pair_is_stored() {
    let host = Host::new();
    host.upload("p", "profile", "identity,City\na,Rome\na,Oslo\n");
    let report = host.run(&host.claim());
    assert_eq!(
        (&report["state"], &report["records"]["accepted"]),
        (&"completed".into(), &2.into())
    );
    let profiles = rusqlite::Connection::open(host.stored().join("profiles.db")).unwrap();
    let sql = "SELECT count(*) || ' ' || max(properties) FROM profile";
    let stored: String = profiles.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(stored, r#"1 {"City":"Oslo"}"#);
}

#[test]
fn a_refused_pair_is_not_picked_up() {
    let host = Host::new();
    host.put_manifest("e", "event");
    let import = host.claim();
    let report = host.run(&import);
    assert_eq!(report["failure"]["message"], FailureText::NoDataFile.as_str());
    assert_eq!(host.mails(&import), ["import.failed"]);
}

/// Makes a host whose account has `contact`. The recipient rule is that of `account add --email`
/// with this contact.
fn limited_host(contact: Option<&str>) -> Host {
    let host = Host::new();
    host.sql("DELETE FROM account");
    host.add_account(contact, &RecipientRule::limited(contact, Vec::new(), None));
    host
}

#[test]
fn mail_is_sent_to_allowed_recipients() {
    let host = limited_host(Some("ops@example.com"));
    host.upload("e", "event", EVENTS);
    let import = host.claim();
    let report = host.run(&import);
    assert_eq!(report["warnings"], serde_json::json!([]));
    let allowed = ["import.picked_up p@example.com", "import.completed p@example.com"];
    assert_eq!(host.mailed_to(&import), allowed);
}

#[test]
fn mail_to_a_disallowed_address_reaches_the_contact() {
    let host = limited_host(Some("ops@acme.example"));
    host.upload("e", "event", EVENTS);
    let import = host.claim();
    let report = host.run(&import);
    assert_eq!(report["state"], "completed", "{report:#}");
    let warning = report["warnings"][0].as_str().unwrap();
    assert!(warning.starts_with("clientEmail is p@example.com, "), "{warning}");
    let contact = ["import.picked_up ops@acme.example", "import.completed ops@acme.example"];
    assert_eq!(host.mailed_to(&import), contact);
}

#[test]
fn strangers_get_no_mail_without_a_contact() {
    let host = limited_host(None);
    host.upload("e", "event", EVENTS);
    let import = host.claim();
    let report = host.run(&import);
    assert_eq!(report["state"], "completed", "{report:#}");
    let warning = report["warnings"][0].as_str().unwrap();
    assert!(warning.ends_with("no mail about this import is sent"), "{warning}");
    assert!(host.mailed_to(&import).is_empty());
}

#[test]
fn refusals_are_not_mailed_to_disallowed_addresses() {
    let host = limited_host(Some("ops@acme.example"));
    host.put("cut.manifest", r#"{"clientEmail": "p@example.com", "#);
    host.put("wrong.manifest", r#"{"clientEmail": "p@example.com", "type": "none"}"#);
    for queued in host.scan().queued {
        let report = host.run(&queued.id);
        assert_eq!(report["state"], "failed", "{report:#}");
        assert_eq!(report["warnings"].as_array().unwrap().len(), 1, "{report:#}");
        assert_eq!(host.mailed_to(&queued.id), ["import.failed ops@acme.example"]);
    }
}

#[test]
fn a_changed_recipient_rule_applies_to_waiting_manifests() {
    let host = Host::with(|config| config.pairing.data_file_grace = Period::seconds(3600));
    host.put_manifest("e", "event");
    assert!(host.scan().queued.is_empty());
    host.importer
        .context
        .state
        .write(|tx| {
            let rule = RecipientRule::limited(None, Vec::new(), None);
            accounts::set_recipients(tx, Timestamp::now(), &host.account, &rule)
        })
        .unwrap();
    host.put("e.csv", EVENTS);
    let import = host.claim();
    let report = host.run(&import);
    assert_eq!(report["warnings"].as_array().unwrap().len(), 1, "{report:#}");
    assert!(host.mailed_to(&import).is_empty());
}

#[test]
fn a_scan_claims_at_most_a_hundred_manifests() {
    let host = Host::new();
    for n in 0..102 {
        host.put_manifest(&format!("m{n:03}"), "event");
    }
    let first = host.scan();
    assert_eq!((first.queued.len(), first.rescan_after), (100, Some(std::time::Duration::ZERO)));
    let second = host.scan();
    assert_eq!((second.queued.len(), second.rescan_after), (2, None));
    let last = host.row(&second.queued[1].id);
    assert_eq!(last.manifest, "m101.manifest", "claims must follow the order of uploads");
}

/// A rejected record of two bytes can cause two hundred bytes, so many small files could fill the
/// disk.
#[test]
fn error_files_are_truncated_when_results_are_full() {
    let host = Host::with(|config| config.limits.max_results = Size::from_bytes(6_000));
    let records: String = (0..100).map(|n| format!(",,{n}\n")).collect();
    let csv = format!("evtName,identity,Price\n{records}");
    let mut written = Vec::new();
    for stem in ["a", "b"] {
        host.upload(stem, "event", &csv);
        let report = host.run(&host.claim());
        assert_eq!(report["records"]["rejected"], 100, "{report:#}");
        let warning = report["warnings"][0].as_str().unwrap();
        assert!(warning.contains("more rejected records are not in the error file"), "{warning}");
        written.push(host.results(&format!("{stem}.errors.csv")).metadata().unwrap().len());
    }
    assert!(written[0] > 1_000 && written[0] < 4_000, "{written:?}");
    assert!(written[1] < written[0] / 2, "{written:?}");
}
