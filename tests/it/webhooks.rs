//! Tests of webhooks from the view of a receiver. The library of the webhook standard verifies
//! signatures, the schema in docs/ validates bodies, and both check the examples in docs/.
//! `scripts/venv` installs the library.

use std::io::{self, Read};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sftp_import::config::Config;
use sftp_import::import_id::ImportId;
use sftp_import::outbox::{
    Attachments, AttemptRunner, Milestone, Recipients, Secret, WebhookRequest, WebhookSender,
    enqueue, message_id,
};
use sftp_import::report::{
    Counts, DataType, Failure, FailureText, ImportState, Progress, RejectionCount, Report,
};
use sftp_import::state::{State, endpoints};

use crate::cli_outbox::catcher;
use crate::store_readers::python;

struct NoFiles;

impl Attachments for NoFiles {
    fn open(
        &self,
        _account: &str,
        _import: Option<&ImportId>,
        _name: &str,
    ) -> io::Result<(Box<dyn Read>, u64)> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// Returns a report on import `n` with every field set.
fn full(n: i64, state: ImportState) -> Report {
    let at = Timestamp::now();
    let import = ImportId::new("sftp1", n).unwrap();
    let mut report = Report::queued("e.manifest", at).of(&import, &"acme".parse().unwrap());
    report.data_type = Some(DataType::Profile);
    report.data_file = Some("\u{1b}é\".csv".into());
    report.state = state;
    report.place = Some(3);
    report.progress =
        Some(Progress { at, bytes_read: 7, records_per_second: 1, estimated_end: Some(at) });
    report.dry_run = true;
    report.records = Counts { read: 2, accepted: 1, rejected: 1 };
    (report.first_ts, report.last_ts) = (Some(at), Some(at));
    report.sha256 = Some("0".repeat(64));
    (report.started_at, report.finished_at) = (Some(at), Some(at));
    report.failure = Some(Failure::new(FailureText::Infra, "the disk is full"));
    report.rejections =
        vec![RejectionCount { message: "Email is not valid".into(), count: 1, first_line: 2 }];
    report.warnings = vec!["unknown key".into()];
    report.error_file = Some("e.errors.csv".into());
    report
}

/// Sends every type of body, once with as few fields and once with as many fields as possible.
fn send_all(folder: &Path, url: &str, secrets: &[Secret; 2]) {
    let state = Arc::new(State::open(&folder.join("state.db")).unwrap());
    let mut config = Config::default();
    config.webhooks.allow = vec!["127.0.0.1/32".parse().unwrap()];
    let (at, acme) = (Timestamp::now(), "acme".parse().unwrap());
    let to = Recipients { webhook: Some("crm".into()), ..Recipients::default() };
    state
        .write(|tx| {
            tx.execute("INSERT INTO account (id, created_at) VALUES ('acme', 0)", [])
                .map_err(sftp_import::state::Error::from)?;
            let [old, new] = secrets;
            endpoints::add(tx, at, &acme, "crm", url, &old.reveal())?;
            let until = at + SignedDuration::from_hours(24);
            endpoints::rotate_secret(tx, &acme, "crm", &new.reveal(), until)?;
            for (n, milestone, state) in [
                (1, Milestone::PickedUp, ImportState::Running),
                (2, Milestone::StillProcessing, ImportState::Running),
                (3, Milestone::Completed, ImportState::Completed),
                (4, Milestone::Failed, ImportState::Failed),
            ] {
                enqueue(tx, at, milestone, &full(n, state), &to)?;
                let import = format!("sftp1-{}", n + 10).parse().unwrap();
                let bare = Report::queued("e.manifest", at).of(&import, &acme);
                enqueue(tx, at, milestone, &bare, &to)?;
            }
            Ok::<_, sftp_import::outbox::Error>(())
        })
        .unwrap();
    let runner = AttemptRunner::new(Arc::clone(&state), &config, Arc::new(NoFiles));
    (1..=8).for_each(|delivery| runner.run(delivery).unwrap());
    let body = format!(r#"{{"type":"test","timestamp":"{at}","data":{{"account":"acme"}}}}"#);
    let (now, id, secrets) = (Timestamp::now(), message_id(), &secrets[..]);
    WebhookSender::new(&config.webhooks).send(&WebhookRequest {
        url,
        secrets,
        id: &id,
        now,
        body: &body,
    });
}

#[test]
fn receivers_can_verify_every_webhook_type() {
    let folder = tempfile::tempdir().unwrap();
    let (_catcher, url) = catcher(folder.path());
    let secrets = [Secret::generate().unwrap(), Secret::generate().unwrap()];
    send_all(folder.path(), &format!("{url}/in"), &secrets);
    let requests = folder.path().join("requests.jsonl");
    assert_eq!(std::fs::read_to_string(&requests).unwrap().lines().count(), 9);

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(python())
        .arg(root.join("tests/readers/webhooks.py"))
        .arg(root.join("docs/webhooks.schema.json"))
        .arg(root.join("docs/webhooks.md"))
        .arg(requests)
        .args(secrets.map(|secret| secret.reveal()))
        .output()
        .unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|b| String::from_utf8(b).unwrap());
    assert!(output.status.success(), "{out}{err}");
}
