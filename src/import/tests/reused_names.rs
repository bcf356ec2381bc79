//! Tests of reused manifest names. The newest answer has the manifest's stem, and an earlier answer
//! has its import's id.

use std::fs;

use serde_json::Value;

use super::host::{EVENTS, Host, names};
use crate::config::{Period, ReusedManifest};
use crate::import::run::answer::earlier_answer;
use crate::import::{ResultsAttachments, RunOutcome};
use crate::import_id::ImportId;
use crate::outbox::Attachments;
use crate::report::{FailureText, ImportState};

fn accepting() -> Host {
    Host::with(|config| config.pairing.reused_manifest = ReusedManifest::Accept)
}

fn report(host: &Host, stem: &str) -> Value {
    let json = fs::read(host.results(&format!("{stem}.result.json"))).unwrap();
    serde_json::from_slice(&json).unwrap()
}

fn upload(host: &Host) -> ImportId {
    host.upload("e", "event", EVENTS);
    host.claim()
}

#[test]
fn manifests_with_reused_names_are_refused_with_advice() {
    let host = Host::new();
    let first = upload(&host);
    let answer = host.run(&first);
    let second = upload(&host);
    host.run(&second);
    let newest = report(&host, "e");
    assert_eq!(
        (newest["state"].as_str(), newest["import"].as_str()),
        (Some("failed"), Some(second.as_str()))
    );
    assert_eq!(newest["failure"]["message"], FailureText::Manifest.as_str());
    let detail = newest["failure"]["detail"].as_str().unwrap();
    assert!(
        detail.contains(first.as_str()) && detail.contains("a name with a date in it"),
        "{detail}"
    );
    let earlier = report(&host, first.as_str());
    assert_eq!(earlier["errorFile"], format!("{first}.errors.csv"));
    assert_eq!((&earlier["records"], &earlier["sha256"]), (&answer["records"], &answer["sha256"]));
    let all = ["e.result.json".to_owned()].into_iter();
    let all = all
        .chain(["errors.csv", "errors.jsonl", "result.json"].map(|end| format!("{first}.{end}")));
    assert_eq!(names(host.results("")), all.collect::<Vec<_>>());
    assert_eq!(host.stored_events(), [format!("import={first}")]);
}

#[test]
fn manifests_with_accepted_reused_names_are_imported() {
    let host = accepting();
    let imports = [0; 3].map(|_| {
        let import = upload(&host);
        host.run(&import);
        import
    });
    let [first, second, third] = &imports;
    for (stem, import) in [(first.as_str(), first), (second.as_str(), second), ("e", third)] {
        let report = report(&host, stem);
        assert_eq!(report["state"], "completed");
        assert_eq!(report["import"], import.as_str());
        assert_eq!(report["errorFile"], format!("{stem}.errors.csv"));
        let row = host.row(import);
        assert_eq!(row.stem, stem);
        assert_eq!(row.report.unwrap().error_file.unwrap(), format!("{stem}.errors.csv"));
    }
    assert_eq!(host.stored_events().len(), 3);
    // A pending mail attaches the error file of its own import.
    let attachments = ResultsAttachments(host.importer.context.layout.clone());
    fs::write(host.results("e.errors.csv"), "the newest").unwrap();
    for (import, is_newest) in [(first, false), (third, true)] {
        let name = "e.errors.csv";
        let (mut file, _) = attachments.open(host.account.as_str(), Some(import), name).unwrap();
        let mut content = String::new();
        file.read_to_string(&mut content).unwrap();
        assert_eq!(content == "the newest", is_newest, "{content}");
    }
    // Retention has removed the first answer. The file with this name now belongs to another
    // import.
    fs::remove_file(host.results(&format!("{first}.errors.csv"))).unwrap();
    let opened = attachments.open(host.account.as_str(), Some(first), "e.errors.csv");
    assert!(opened.err().unwrap().to_string().contains("a later import's answer"));
}

#[test]
fn manifest_names_ignore_the_case_of_endings() {
    let host = Host::new();
    host.run(&upload(&host));
    host.put("e.MANIFEST", r#"{"type":"event","fileName":"e.csv","clientEmail":"a@b.example"}"#);
    let second = host.claim();
    host.run(&second);
    assert!(report(&host, "e")["failure"]["detail"].as_str().unwrap().contains("was used before"));
    assert_eq!(host.row(&second).manifest, "e.MANIFEST");
}

/// The daemon is killed after the files were renamed and before the new import is queued.
#[test]
fn interrupted_rename_is_repeated() {
    let host = accepting();
    let first = upload(&host);
    host.run(&first);
    let second = upload(&host);
    // The state is the same as before the transaction that queues the import.
    host.sql(&format!(
        "UPDATE import SET state = 'claiming' WHERE id = '{second}';
         UPDATE import SET stem = 'e' WHERE id = '{first}'"
    ));
    let files = ["errors.csv", "errors.jsonl", "result.json"];
    for renamed in 0..=files.len() {
        for ending in &files[renamed..] {
            let [from, to] =
                [first.as_str(), "e"].map(|stem| host.results(&format!("{stem}.{ending}")));
            fs::rename(from, to).unwrap();
        }
        assert_eq!(host.claim(), second);
        let expected = files.map(|ending| format!("{first}.{ending}"));
        assert_eq!(names(host.results("")), expected, "{renamed}");
        assert_eq!(host.row(&first).stem, first.as_str());
        host.sql(&format!(
            "UPDATE import SET state = 'claiming' WHERE id = '{second}';
             UPDATE import SET stem = 'e' WHERE id = '{first}'"
        ));
    }
    assert_eq!(host.claim(), second);
    host.run(&second);
    assert_eq!(report(&host, "e")["import"], second.as_str());
    assert_eq!(report(&host, first.as_str())["import"], first.as_str());
}

#[test]
fn earlier_import_may_end_after_the_claim() {
    let host = accepting();
    let first = upload(&host);
    host.importer.report_progress(&[]).unwrap();
    let second = upload(&host);
    assert_eq!(report(&host, first.as_str())["state"], "queued");
    host.importer.report_progress(&[]).unwrap();
    assert_eq!(report(&host, "e")["import"], second.as_str());
    assert_eq!(host.run(&first)["errorFile"], format!("{first}.errors.csv"));
    assert_eq!(report(&host, "e")["state"], "queued");
    host.run(&second);
    assert_eq!(report(&host, "e")["state"], "completed");
    assert_eq!(report(&host, first.as_str())["state"], "completed");
}

/// The earlier import has no progress report from before the claim.
#[test]
fn earlier_import_without_report_gets_its_id() {
    let host = accepting();
    let [first, second] = [upload(&host), upload(&host)];
    host.run(&first);
    host.run(&second);
    assert_eq!(report(&host, first.as_str())["import"], first.as_str());
    assert_eq!(report(&host, "e")["import"], second.as_str());
}

/// A run that loaded its row before the claim writes its answer under the new name.
#[test]
fn run_writes_its_answer_under_the_new_stem() {
    let host = accepting();
    let first = upload(&host);
    let wake = || {
        // This closure is called after the import has begun and its row is loaded.
        let renamed = std::sync::OnceLock::new();
        renamed.get_or_init(|| {
            host.upload("e", "event", EVENTS);
            host.scan()
        });
    };
    let monitor = crate::import::Monitor::default();
    assert_eq!(host.importer.run(&first, &monitor, &wake).unwrap(), RunOutcome::Finished);
    let row = host.row(&first);
    assert_eq!((row.state, row.stem.as_str()), (ImportState::Completed, first.as_str()));
    assert_eq!(report(&host, first.as_str())["import"], first.as_str());
    assert!(!host.results("e.errors.csv").exists(), "the second import has this name");
}

#[test]
fn removed_answer_is_not_written_again() {
    let host = accepting();
    let first = upload(&host);
    host.run(&first);
    for ending in ["errors.csv", "errors.jsonl", "result.json"] {
        fs::remove_file(host.results(&format!("e.{ending}"))).unwrap();
    }
    host.run(&upload(&host));
    assert!(!host.results(&format!("{first}.result.json")).exists());
}

/// A restored state database has the stem from before the rename.
#[test]
fn sweep_keeps_answers_of_other_imports() {
    let host = Host::with(|config| {
        config.pairing.reused_manifest = ReusedManifest::Accept;
        config.retention.results = Period::seconds(3600);
    });
    let first = upload(&host);
    host.run(&first);
    let second = upload(&host);
    host.run(&second);
    host.sql(&format!(
        "UPDATE import SET stem = 'e', finished_at = 0 WHERE id = '{first}';
         DELETE FROM delivery"
    ));
    host.importer.sweep(jiff::Timestamp::now()).unwrap();
    assert!(!host.results(&format!("{first}.result.json")).exists());
    assert_eq!(report(&host, "e")["import"], second.as_str());
}

#[test]
fn misnamed_manifest_can_be_renamed_after_the_answer() {
    let host = Host::new();
    host.put("e.csv", EVENTS);
    let text = r#"{"type":"event","fileName":"e.csv","clientEmail":"a@b.example"}"#;
    host.put("e.manifest.txt", text);
    host.put("settings.json", r#"{"type":"event","a":1}"#);
    let first = host.claim();
    let answer = host.run(&first);
    assert_eq!(answer["failure"]["message"], FailureText::Manifest.as_str());
    assert_eq!(answer["failure"]["detail"], "call it e.manifest");
    assert_eq!(host.row(&first).stem, "e.manifest.txt");
    assert_eq!(host.mailed_to(&first), ["import.failed a@b.example"]);
    // If the same wrong name is uploaded again, it is answered again.
    host.put("e.manifest.txt", r#"{"type":"event","fileName":"e.csv","ClientEmail":"a@b"}"#);
    let second = host.claim();
    let detail = host.run(&second)["failure"]["detail"].to_string();
    assert!(detail.contains("call it e.manifest; write"), "{detail}");
    assert_eq!(report(&host, first.as_str())["import"], first.as_str());
    host.put("e.manifest", text);
    assert_eq!(host.run(&host.claim())["state"], "completed");
    let left = names(host.importer.context.layout.incoming(&host.account));
    assert_eq!(left, ["settings.json"]);
}

/// The function `earlier_answer::rename` changes no row by itself.
#[test]
fn rename_without_its_transaction_can_be_repeated() {
    let host = accepting();
    let first = upload(&host);
    host.run(&first);
    let second = upload(&host);
    host.sql(&format!("UPDATE import SET stem = 'e' WHERE id = '{first}'"));
    for _ in 0..2 {
        let context = &host.importer.context;
        earlier_answer::rename(context, &host.account, &second).unwrap();
        assert!(host.results(&format!("{first}.result.json")).exists());
    }
}

/// Imports of a node that was renamed keep their ids.
#[test]
fn a_stem_never_equals_an_old_import_id() {
    let host = accepting();
    let first = upload(&host);
    host.run(&first);
    host.sql(
        "PRAGMA defer_foreign_keys = ON; UPDATE import SET id = 'old-1';
              UPDATE milestone SET import = 'old-1'; UPDATE manifest_name SET import = 'old-1'",
    );
    host.upload("old-1", "event", EVENTS);
    let second = host.claim();
    assert_eq!(host.row(&second).stem, second.as_str());
}
