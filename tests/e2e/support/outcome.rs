//! The outcome of an upload as text, which is equal for equal uploads. Tests compare outcomes after
//! a fault.
//!
//! A batch consists of a pair of events and a pair of profiles. Two of the events are rejected.
//! Mail and webhooks report both pairs. Each batch has its own stem. Therefore the state database,
//! the store and results/ grow during a test, and are compared for each batch.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::support::account::Account;
use crate::support::host::{Host, set_mode};
use crate::support::pair::Pair;

const EVENTS: usize = 40;
const PROFILES: usize = 10;

/// Uploads the batch `stem` in the form that sshd creates: the files belong to the account and have
/// the mode 0600. The manifests are last.
pub fn upload(account: &Account<'_>, stem: &str) {
    let folder = account.local();
    let events = Pair::events_with(&folder, &format!("{stem}-e"), EVENTS, &[3, 9]);
    let profiles = Pair::profiles(&folder, &format!("{stem}-p"), PROFILES);
    for file in [&events.data, &events.manifest, &profiles.data, &profiles.manifest] {
        set_mode(file, 0o600);
        account.give(file);
        std::fs::rename(file, account.incoming().join(file.file_name().unwrap())).unwrap();
    }
}

/// Returns whether all imports of `stem` are completed and no delivery is pending.
pub fn is_done(host: &Host, stem: &str) -> bool {
    let done = host.query(&format!(
        "SELECT count(*) >= 2 AND min(state = 'completed')
                AND NOT EXISTS (SELECT 1 FROM delivery WHERE state = 'pending')
         FROM import WHERE manifest LIKE '{stem}-%'"
    ));
    done == ["1"]
}

/// The outcome of a batch.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    /// The rows of the table import.
    imports: Vec<String>,
    /// The manifest names that the batch used.
    spent: Vec<String>,
    /// The lines of the activity log about each import.
    activity: Vec<String>,
    events: Vec<String>,
    event_folders: usize,
    profiles: Vec<String>,
    reports: Vec<Value>,
    error_files: Vec<String>,
    /// The names of all files of the batch in results/, including hidden files.
    results: Vec<String>,
    /// The state of each delivery, by import, milestone and channel, and the number of ids that
    /// were received at least once.
    deliveries: Vec<String>,
    webhooks: BTreeMap<String, usize>,
    mails: BTreeMap<String, usize>,
    left_in_incoming: Vec<String>,
    left_in_spool: Vec<String>,
    left_in_store: Vec<String>,
}

impl Outcome {
    pub fn of(account: &Account<'_>, stem: &str) -> Self {
        let host = account.host;
        let of_batch = format!("manifest LIKE '{stem}-%'");
        let ids = host.query(&format!("SELECT id FROM import WHERE {of_batch} ORDER BY manifest"));
        let plain = |text: &str| text.replace(stem, "STEM");
        let query = |sql: &str| -> Vec<String> {
            host.query(&sql.replace("{batch}", &of_batch)).iter().map(|row| plain(row)).collect()
        };
        let (results, store) = (account.results(), host.state().join("data").join(&account.id));
        let read = |name: &str| std::fs::read_to_string(results.join(name)).unwrap_or_default();
        let folders = account.event_folders();
        let mut seen = names(&results, &format!("{stem}-"));
        seen.extend(names(&results, "."));
        let mut left_in_store = names(&store.join(".unfinished"), "");
        left_in_store.extend(names(&store, ".profiles"));
        Self {
            imports: query(
                "SELECT manifest || ' ' || state || ' ' || data_file || ' ' || type || ' ' || stem
                 FROM import WHERE {batch} ORDER BY manifest",
            ),
            spent: query(
                "SELECT name FROM manifest_name m JOIN import i ON i.id = m.import
                 WHERE {batch} ORDER BY name",
            ),
            activity: query(
                "SELECT i.manifest || ' ' || action FROM activity a JOIN import i ON i.id = a.import
                 WHERE {batch} ORDER BY i.manifest, a.id",
            ),
            events: ids.iter().flat_map(|import| account.events(import)).collect(),
            event_folders: ids
                .iter()
                .filter(|id| folders.contains(&format!("import={id}")))
                .count(),
            profiles: account
                .profiles(&format!("{stem}-p."))
                .iter()
                .map(|row| plain(row))
                .collect(),
            reports: ["e", "p"]
                .map(|kind| timeless(account.report(&format!("{stem}-{kind}")), stem))
                .into(),
            error_files: vec![
                read(&format!("{stem}-e.errors.csv")),
                read(&format!("{stem}-e.errors.jsonl")),
            ],
            results: seen.iter().map(|name| plain(name)).collect(),
            deliveries: query(
                "SELECT i.manifest || ' ' || m.type || ' ' || d.channel || ' ' || d.state
                 FROM delivery d JOIN milestone m ON m.id = d.milestone
                 JOIN import i ON i.id = m.import WHERE {batch} ORDER BY i.manifest, d.id",
            ),
            webhooks: webhooks(host, &ids),
            mails: mails(host, stem),
            left_in_incoming: names(&account.incoming(), ""),
            left_in_spool: spooled(host),
            left_in_store,
        }
    }

    /// Checks that the outcome of an undisturbed run is correct.
    #[track_caller]
    pub fn check_sound(&self) {
        assert_eq!(self.imports.len(), 2, "{self:#?}");
        assert_eq!(self.events.len(), EVENTS - 2, "{self:#?}");
        assert_eq!(self.profiles.len(), PROFILES, "{self:#?}");
        assert_eq!(self.deliveries.len(), 8, "2 imports × 2 milestones × 2 channels: {self:#?}");
        assert_eq!((self.webhooks.len(), self.mails.len()), (4, 2), "{self:#?}");
        assert!(self.webhooks.values().all(|&ids| ids == 1), "{self:#?}");
        assert!(self.mails.values().all(|&ids| ids == 2), "two milestones: {self:#?}");
        assert_eq!(self.error_files[0].lines().count(), 3, "{self:#?}");
        assert_eq!(self.error_files[1].lines().count(), 2, "{self:#?}");
        let left = [&self.left_in_incoming, &self.left_in_spool, &self.left_in_store];
        assert!(left.iter().all(|names| names.is_empty()), "{self:#?}");
    }
}

/// Checks the answers of the batch `stem`, which was uploaded twice under the same names: the newest
/// answer has the stem, and the earlier answer has the id of its import.
#[track_caller]
pub fn check_reused_names(account: &Account<'_>, stem: &str, what: &str) {
    let host = account.host;
    for (kind, error_lines) in [("e", 3), ("p", 0)] {
        let manifest = format!("manifest = '{stem}-{kind}.manifest'");
        let ids = host.query(&format!("SELECT id FROM import WHERE {manifest} ORDER BY n"));
        assert_eq!(ids.len(), 2, "{what}");
        for (name, id) in [(ids[0].clone(), &ids[0]), (format!("{stem}-{kind}"), &ids[1])] {
            let report = account.report(&name);
            assert_eq!(
                (report["state"].as_str(), report["import"].as_str()),
                (Some("completed"), Some(id.as_str())),
                "{what}: {name}"
            );
            let errors = account.results().join(format!("{name}.errors.csv"));
            let errors = std::fs::read_to_string(errors).unwrap_or_default();
            assert_eq!(errors.lines().count(), error_lines, "{what}: {name}");
            let has_errors = report["errorFile"] == format!("{name}.errors.csv");
            assert_eq!(has_errors, error_lines > 0, "{what}: {name}");
            if kind == "e" {
                assert_eq!(account.events(id).len(), EVENTS - 2, "{what}: {name}");
            }
        }
        let sent = format!(
            "SELECT count(DISTINCT d.id) FROM delivery d JOIN milestone m ON m.id = d.milestone
             JOIN import i ON i.id = m.import WHERE {manifest} AND d.state = 'delivered'"
        );
        assert_eq!(host.query(&sent), ["8"], "2 imports × 2 milestones × 2 channels, {what}");
    }
    assert!(names(&account.results(), ".").is_empty(), "{what}");
}

/// Returns a report without the values that differ from run to run, such as the id and the times.
/// Also removes the warning about an upload without a log. This warning occurs if the fault
/// prevents the creation of the log socket.
fn timeless(mut report: Value, stem: &str) -> Value {
    for key in ["import", "receivedAt", "startedAt", "finishedAt", "sha256", "bytes"] {
        report.as_object_mut().unwrap().remove(key);
    }
    let warnings = report["warnings"].as_array_mut().unwrap();
    warnings.retain(|warning| !warning.as_str().unwrap().starts_with("the end of the upload of "));
    serde_json::from_str(&report.to_string().replace(stem, "STEM")).unwrap()
}

/// Returns the sorted names in `folder` that begin with `prefix`. Returns an empty list if the
/// folder is missing.
pub fn names(folder: &Path, prefix: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|e| e.unwrap().file_name());
    let names = entries.map(|name| name.into_string().unwrap());
    let names = names.filter(|name| name.starts_with(prefix) && name != "README.txt");
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// Returns the names in the spool without the daemon's socket.
pub fn spooled(host: &Host) -> Vec<String> {
    let mut names = names(&host.accounts().join(".spool"), "");
    names.retain(|name| name != ".log");
    names
}

/// Returns the number of different webhook-ids for each milestone of these imports.
fn webhooks(host: &Host, imports: &[String]) -> BTreeMap<String, usize> {
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for request in host.catchers.requests() {
        let body: Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
        let import = body["data"]["import"].as_str().unwrap();
        if let Some(place) = imports.iter().position(|id| id == import) {
            let key = format!("{place} {}", body["type"].as_str().unwrap());
            ids.entry(key).or_default().insert(request["headers"]["webhook-id"].to_string());
        }
    }
    ids.into_iter().map(|(key, ids)| (key, ids.len())).collect()
}

/// Returns the number of different Message-IDs for each address of the batch.
fn mails(host: &Host, stem: &str) -> BTreeMap<String, usize> {
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (to, mail) in host.catchers.raw_mails() {
        if let Some(kind) = to.strip_prefix(&format!("{stem}-")) {
            let id = mail.lines().find(|line| line.starts_with("Message-ID:"));
            ids.entry(kind.to_owned()).or_default().insert(id.unwrap().to_owned());
        }
    }
    ids.into_iter().map(|(kind, ids)| (kind, ids.len())).collect()
}
