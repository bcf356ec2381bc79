//! Tests of the answers to a partner: report, error file, mail, webhook and activity log.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::account::Account;
use crate::support::catchers::Mail;
use crate::support::host::{Host, REPOSITORY, SOON};
use crate::support::outcome::names;
use crate::support::pair::{EVENTS_HEADER, Pair};
use crate::support::process::until;

const NAME_MISSING: &str = "Event name is mandatory";

/// Adds the webhook catcher as an endpoint of `account`. Returns the secret of the endpoint.
fn webhook(account: &Account<'_>) -> String {
    let host = account.host;
    let added = host.cli(&["--json", "webhook", "add", &account.id, "crm", &host.catchers.url()]);
    let added = added.ok().json();
    host.cli(&["account", "set", &account.id, "--webhook", "crm"]).ok();
    added["secret"].as_str().unwrap_or_else(|| panic!("no secret in {added}")).to_owned()
}

#[test]
fn rejected_records_are_returned_with_the_reason() {
    let host = Host::running();
    let account = host.account("e2e-rejected");
    let pair = Pair::events_with(&account.local(), "e", 5, &[1, 3]);
    account.upload(&pair);
    let report = account.report("e");
    assert_eq!(report["state"], "completed", "{report:#}");
    assert_eq!(report["records"], serde_json::json!({"read": 5, "accepted": 3, "rejected": 2}));
    let rejections = serde_json::json!([{"message": NAME_MISSING, "count": 2, "firstLine": 3}]);
    assert_eq!(report["rejections"], rejections);
    assert_eq!(report["errorFile"], "e.errors.csv");
    check_digest(&report, &pair);
    let errors = std::fs::read_to_string(account.results().join("e.errors.csv")).unwrap();
    check_error_file(&errors, &std::fs::read_to_string(&pair.data).unwrap());
    let events = account.events(report["import"].as_str().unwrap());
    assert_eq!(events.len(), 3, "{events:?}");
}

fn check_digest(report: &Value, pair: &Pair) {
    let data = std::fs::read(&pair.data).unwrap();
    let digest: String = Sha256::digest(&data).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(report["sha256"], digest);
    assert_eq!(report["bytes"], data.len());
}

/// Checks that the error file contains the original header, and the original fields of the records
/// 1 and 3 with the reason in the last column.
fn check_error_file(errors: &str, data: &str) {
    let data: Vec<&str> = data.lines().collect();
    let errors: Vec<&str> = errors.lines().collect();
    assert_eq!(errors[0].replace('"', ""), format!("{EVENTS_HEADER},Failure Description"));
    assert_eq!(errors.len(), 3, "{errors:?}");
    for (error, original) in [(errors[1], data[2]), (errors[2], data[4])] {
        let reason =
            error.strip_prefix(&format!("{original},")).unwrap_or_else(|| panic!("{error}"));
        assert!(reason.trim_matches('"').starts_with(NAME_MISSING), "{error}");
    }
}

/// The rejected records are corrected in the error file, and the error file is uploaded again.
#[test]
fn a_corrected_error_file_imports() {
    let host = Host::running();
    let account = host.account("e2e-corrected");
    account.upload(&Pair::events_with(&account.local(), "e", 4, &[0]));
    account.report("e");
    let errors = std::fs::read_to_string(account.results().join("e.errors.csv")).unwrap();
    let corrected = errors.replacen("\n,", "\nPurchased,", 1);
    account.import_all(&Pair::new(&account.local(), "corrected", "event", &corrected), 1);
}

#[test]
fn a_file_that_cannot_be_imported_is_answered() {
    let host = Host::new("[pairing]\ndata-file-grace = \"0s\"\nmanifest-quiet-period = \"0s\"\n");
    host.start_daemon();
    let account = host.account("e2e-refused");
    let alone = Pair::events(&account.local(), "alone", 1);
    account.sftp(&format!("put {}\n", alone.manifest.display())).ok();
    assert_eq!(account.report("alone")["failure"]["message"], "No data file found");
    let broken = Pair::events(&account.local(), "broken", 1);
    std::fs::write(&broken.manifest, "{\"type\": \"event\",\n oops").unwrap();
    account.upload(&broken);
    let report = account.report("broken");
    assert_eq!(report["failure"]["message"], "Incorrect details in manifest file");
    assert!(report["failure"]["detail"].as_str().unwrap().contains("line 2"), "{report:#}");
}

#[test]
fn mail_arrives_with_the_error_file() {
    let host = Host::running();
    let account = host.account("e2e-mail");
    account.upload(&Pair::events_with(&account.local(), "e", 4, &[2]));
    account.report("e");
    host.wait_until_quiet(SOON);
    let mails = host.catchers.mails();
    assert_eq!(mails.len(), 2, "one mail for picked up, one for completed: {mails:#?}");
    for mail in &mails {
        assert!(mail.to.contains("e@example.com"), "{mail:#?}");
        assert!(mail.subject.contains("e.csv") || mail.subject.contains("e.manifest"), "{mail:#?}");
    }
    let text = &mails.last().unwrap().text;
    assert!(text.contains(NAME_MISSING), "{text}");
    let with_files: Vec<&Mail> = mails.iter().filter(|mail| !mail.attachments.is_empty()).collect();
    assert_eq!(with_files.len(), 1, "{mails:#?}");
    let (name, content) = &with_files[0].attachments[0];
    assert_eq!(name, "e.errors.csv");
    let errors = std::fs::read_to_string(account.results().join("e.errors.csv")).unwrap();
    assert_eq!(content.replace("\r\n", "\n"), errors);
}

#[test]
fn webhooks_are_signed() {
    let host = Host::running();
    let account = host.account("e2e-webhook");
    let secret = webhook(&account);
    account.upload(&Pair::events_with(&account.local(), "e", 4, &[2]));
    let report = account.report("e");
    host.wait_until_quiet(SOON);
    let requests = host.catchers.requests();
    let bodies: Vec<Value> = requests.iter().map(|request| verified(request, &secret)).collect();
    let types: Vec<&str> = bodies.iter().map(|body| body["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["import.picked_up", "import.completed"]);
    assert_eq!(bodies[1]["data"], report, "the body must contain the report");
}

/// Returns the body of the request. Fails unless its signature is valid (Standard Webhooks 1.0).
#[track_caller]
fn verified(request: &Value, secret: &str) -> Value {
    let headers: Vec<(String, &str)> = request["headers"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap()))
        .collect();
    let header = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| *v).unwrap();
    let body = request["body"].as_str().unwrap();
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(
        format!("{}.{}.{body}", header("webhook-id"), header("webhook-timestamp")).as_bytes(),
    );
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert!(header("webhook-signature").split(' ').any(|s| s == signature), "{request:#}");
    serde_json::from_str(body).unwrap()
}

#[test]
fn every_step_is_in_the_activity_log() {
    let host = Host::running();
    let account = host.account("e2e-activity");
    account.upload(&Pair::events(&account.local(), "e", 2));
    let import = account.report("e")["import"].as_str().unwrap().to_owned();
    host.wait_until_quiet(SOON);
    let actions = host.query("SELECT action FROM activity ORDER BY id");
    let place = |action: &str| actions.iter().position(|a| a == action);
    let story = ["account.added", "key.added", "import.picked_up", "import.completed"];
    let places: Vec<_> = story.iter().map(|action| place(action)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{actions:?}");
    let of_import = format!("SELECT action FROM activity WHERE import = '{import}' ORDER BY id");
    let of_import = host.query(&of_import);
    assert_eq!(of_import.iter().filter(|a| *a == "import.picked_up").count(), 1, "{of_import:?}");
    assert_eq!(of_import.iter().filter(|a| *a == "import.completed").count(), 1, "{of_import:?}");
}

/// The first import's manifest has the id of the second import as its name. The files of both
/// imports in results/ must have different names.
#[test]
fn answers_stay_if_manifest_names_resemble_import_ids() {
    let host = Host::running();
    let account = host.account("e2e-answer-id");
    let first = Pair::events(&account.local(), "first", 2);
    account.import_all(&first, 2);
    let id = account.report("first")["import"].as_str().unwrap().to_owned();
    let (node, n) = id.rsplit_once('-').unwrap();
    let id = |more: i64| format!("{node}-{}", n.parse::<i64>().unwrap() + more);
    let named_like_the_next_one = Pair::events(&account.local(), &id(2), 3);
    account.upload(&named_like_the_next_one);
    assert_eq!(account.report(&id(1))["records"]["accepted"], 3);
    account.upload(&first); // the name was already used
    assert_eq!(
        account.report(&id(0))["records"]["accepted"],
        2,
        "the answer must be named after its import's id"
    );
    let newest = account.report("first");
    assert_eq!(newest["failure"]["message"], "Incorrect details in manifest file");
    assert_eq!(newest["import"], id(2));
    assert_eq!(account.report(&id(1))["import"], id(1));
}

/// The samples of the package come from the product page. Their import must have the results that
/// their README describes.
#[test]
fn the_samples_are_imported() {
    let host = Host::running();
    let account = host.account("e2e-samples");
    let samples = format!("{REPOSITORY}/samples");
    for (stem, read, accepted) in [("events", 4, 4), ("profiles", 5, 5), ("orders", 7, 2)] {
        account.sftp(&format!("put {samples}/{stem}.csv\nput {samples}/{stem}.manifest\n")).ok();
        let report = account.report(stem);
        let counts =
            serde_json::json!({"read": read, "accepted": accepted, "rejected": read - accepted});
        assert_eq!(report["records"], counts, "{report:#}");
    }
    assert_eq!(account.profiles("j").iter().filter(|row| row.starts_with("identity ")).count(), 5);
}

/// A script can wait for the files in results/, because the import is visible there as soon as it
/// is claimed.
#[test]
fn results_belong_to_the_daemon_and_are_readable() {
    let host = Host::running();
    let account = host.account("e2e-results");
    account.upload(&Pair::events_with(&account.local(), "e", 2, &[0]));
    account.report("e");
    for file in ["e.result.json", "e.errors.csv"] {
        let got = account.local().join(file);
        account.sftp(&format!("get /results/{file} {}\n", got.display())).ok();
        account.sftp(&format!("rm /results/{file}\n")).refused();
        account.sftp(&format!("chmod 666 /results/{file}\n")).refused();
        account.sftp(&format!("put {} /results/{file}\n", got.display())).refused();
    }
    let left = || names(&account.incoming(), "").is_empty();
    until("incoming to be empty", SOON, || left().then_some(()));
}
