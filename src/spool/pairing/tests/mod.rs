//! Tests of all decisions about manifests. The present time is second 1000.

mod sessions;
pub mod times;

use super::super::incoming::entry::FileKind;
use super::*;
use crate::config::{Period, ReusedManifest};
use crate::report::DataType;
use crate::spool::ArrivalOrder;
use crate::spool::incoming::snapshot::ArrivingFile;
use crate::spool::{Age, ParsedManifest};

const NOW: i64 = 1000;

fn second(n: i64) -> Timestamp {
    Timestamp::from_second(n).unwrap()
}

fn entry(name: &str, ctime: i64) -> DirEntry {
    let ino = name.len() as u64;
    DirEntry {
        name: name.into(),
        kind: FileKind::Regular,
        size: 1,
        ctime: second(ctime),
        dev: 1,
        ino,
        nlink: 1,
    }
}

fn manifest(name: &str, ctime: i64, content: ManifestContent) -> ListedManifest {
    let age = Age { then: Age::by_clock(second(ctime), second(NOW)), since: Duration::ZERO };
    ListedManifest { entry: entry(name, ctime), content, age }
}

fn valid(data_file: &str) -> ManifestContent {
    ManifestContent::Read(ParsedManifest::Valid {
        data_type: DataType::Event,
        data_file: data_file.into(),
        client_email: "a@example.com".into(),
    })
}

fn invalid() -> ManifestContent {
    let values =
        ManifestValues { client_email: Some("a@example.com".into()), ..ManifestValues::default() };
    ManifestContent::Read(ParsedManifest::Invalid {
        findings: "line 1, column 2: expected a key".into(),
        values,
    })
}

fn files(names: &[&str]) -> Vec<DirEntry> {
    names.iter().map(|name| entry(name, 1)).collect()
}

fn spent(name: &str) -> Option<ImportId> {
    (name == "spent.manifest").then(|| "sftp1-7".parse().unwrap())
}

/// The default periods, except that a pair is claimed without waiting for it to settle.
fn periods() -> Pairing {
    Pairing { settle: Period::seconds(0), ..Pairing::default() }
}

/// Returns the state of an upload about which the log has no facts.
fn silent(_: &DirEntry) -> UploadState {
    UploadState::default()
}

/// Returns one line for each decision, in the order of the decisions: `take`, `refuse` or `wait`.
fn lines(snapshot: &Snapshot) -> Vec<String> {
    let decisions = decide(snapshot, &ArrivalOrder::new(), &periods(), spent, silent);
    words(&decisions)
}

fn words(decisions: &Decisions) -> Vec<String> {
    let take = decisions.claims.iter().map(|take| match &take.data {
        Ok(data) => format!("take {} with {}", take.manifest.name, data.name),
        Err(failure) => format!("refuse {}: {failure}", take.manifest.name),
    });
    let wait = decisions.waiting.iter().map(|waiting| match waiting.at_most {
        Some(time) => {
            format!("wait {} {:?} {}ms", waiting.manifest, waiting.reason, time.as_millis())
        }
        None => format!("wait {} {:?}", waiting.manifest, waiting.reason),
    });
    take.chain(wait).collect()
}

fn line(content: ManifestContent, ctime: i64, others: &[&str], being_written: &[&str]) -> String {
    let snapshot = Snapshot {
        manifests: vec![manifest("e.manifest", ctime, content)],
        files: files(others),
        being_written: being_written.iter().map(|&name| name.into()).collect(),
        ..Snapshot::default()
    };
    lines(&snapshot).join("\n")
}

#[test]
fn every_manifest_state_has_a_decision() {
    let (young, grace_over, open_over) = (NOW - 1, NOW - 60, NOW - 1800);
    for (content, ctime, others, being_written, expected) in [
        (valid("e.csv"), young, &["e.csv"][..], &[][..], "take e.manifest with e.csv"),
        (valid("e.csv"), 0, &["e.csv"], &[], "take e.manifest with e.csv"),
        (valid("E.CSV.GZ"), young, &["E.CSV.GZ"], &[], "take e.manifest with E.CSV.GZ"),
        // The data file of the case is missing.
        (valid("e.csv"), young, &[], &[], "wait e.manifest NoDataFile 59000ms"),
        (valid("e.csv"), NOW, &[], &[], "wait e.manifest NoDataFile 60000ms"),
        (
            valid("e.csv"),
            grace_over,
            &[],
            &[],
            r#"refuse e.manifest: No data file found: "e.csv" is not in incoming"#,
        ),
        // The data file of the case is being written.
        (
            valid("e.csv"),
            grace_over,
            &["e.csv"],
            &["e.csv"],
            "wait e.manifest DataFileBeingWritten 1740000ms",
        ),
        (
            valid("e.csv"),
            open_over + 200,
            &["e.csv"],
            &["e.csv"],
            "wait e.manifest DataFileBeingWritten 200000ms",
        ),
        (
            valid("e.csv"),
            open_over,
            &["e.csv"],
            &["e.csv"],
            r#"refuse e.manifest: No data file found: "e.csv" is still being written 1800s after its manifest arrived; upload the manifest when the data file is complete"#,
        ),
        // A name with this ending cannot be the name of a data file, whether the file exists or
        // not.
        (
            valid("e.xlsx"),
            young,
            &["e.xlsx"],
            &[],
            r#"refuse e.manifest: File couldn't be read: a data file's name ends in .csv, .csv.gz or .csv.zst; "e.xlsx" does not"#,
        ),
        (
            valid(".csv"),
            young,
            &[],
            &[],
            r#"refuse e.manifest: File couldn't be read: a data file's name ends in .csv, .csv.gz or .csv.zst; ".csv" does not"#,
        ),
        // The manifest of the case is incomplete or invalid.
        (ManifestContent::BeingWritten, 0, &["e.csv"], &[], "wait e.manifest ManifestBeingWritten"),
        (invalid(), young, &["e.csv"], &[], "wait e.manifest ManifestIncomplete 1000ms"),
        (
            invalid(),
            NOW - 2,
            &["e.csv"],
            &[],
            "refuse e.manifest: Incorrect details in manifest file: line 1, column 2: expected a key",
        ),
    ] {
        assert_eq!(line(content, ctime, others, being_written), expected);
    }
}

#[test]
fn irregular_files_are_refused() {
    let link = DirEntry { kind: FileKind::Other, ..entry("e.csv", 1) };
    let folder = DirEntry { kind: FileKind::Folder, ..entry("e.csv", 1) };
    let linked = DirEntry { nlink: 2, ..entry("e.csv", 1) };
    for (data, what) in [
        (link, "is not a regular file"),
        (folder, "is a folder"),
        (linked, "has 2 names (hard links)"),
    ] {
        let manifests = vec![manifest("e.manifest", NOW, valid("e.csv"))];
        let snapshot = Snapshot { manifests, files: vec![data], ..Snapshot::default() };
        let expected = format!(
            r#"refuse e.manifest: File couldn't be read: the data file "e.csv" {what}; upload it as a file of its own"#
        );
        assert_eq!(lines(&snapshot), [expected]);
    }
    let mut odd = manifest("e.manifest", NOW, ManifestContent::NotPlain);
    odd.entry.kind = FileKind::Other;
    let snapshot = Snapshot { manifests: vec![odd], ..Snapshot::default() };
    assert_eq!(
        lines(&snapshot),
        [
            r#"refuse e.manifest: File couldn't be read: the manifest "e.manifest" is not a regular file; upload it as a file of its own"#
        ]
    );
}

#[test]
fn claims_follow_upload_order_then_name() {
    let snapshot = Snapshot {
        manifests: vec![
            manifest("c.manifest", NOW - 1, valid("c.csv")),
            manifest("b.manifest", NOW - 2, valid("b.csv")),
            manifest("a.manifest", NOW - 1, valid("a.csv")),
            manifest("spent.manifest", NOW - 3, valid("b.csv")),
        ],
        files: files(&["a.csv", "b.csv", "c.csv"]),
        ..Snapshot::default()
    };
    assert_eq!(
        lines(&snapshot),
        [
            r#"refuse spent.manifest: Incorrect details in manifest file: the name "spent.manifest" was used before, by import sftp1-7; create a new manifest file with a new name: give it a name with a date in it, such as "spent-1970-01-01.manifest""#,
            "take b.manifest with b.csv",
            "take a.manifest with a.csv",
            "take c.manifest with c.csv",
        ]
    );
}

#[test]
fn earlier_manifest_gets_the_data_file() {
    let second_one = |ctime| Snapshot {
        manifests: vec![
            manifest("late.manifest", ctime, valid("e.csv")),
            manifest("early.manifest", 1, valid("e.csv")),
        ],
        files: files(&["e.csv"]),
        ..Snapshot::default()
    };
    assert_eq!(
        lines(&second_one(NOW - 1)),
        ["take early.manifest with e.csv", "wait late.manifest NoDataFile 59000ms"]
    );
    assert_eq!(
        lines(&second_one(2)),
        [
            "take early.manifest with e.csv",
            r#"refuse late.manifest: No data file found: "e.csv" was claimed with the manifest "early.manifest""#
        ]
    );
}

#[test]
fn the_next_manifest_gets_a_refused_manifests_file() {
    let snapshot = Snapshot {
        manifests: vec![
            manifest("bad.manifest", 0, invalid()),
            manifest("spent.manifest", 1, valid("e.csv")),
            manifest("good.manifest", 2, valid("e.csv")),
        ],
        files: files(&["e.csv"]),
        ..Snapshot::default()
    };
    assert_eq!(lines(&snapshot)[2], "take good.manifest with e.csv");
}

#[test]
fn used_manifest_names_are_refused_without_data_file() {
    let waits = Snapshot {
        manifests: vec![manifest("spent.manifest", NOW, invalid())],
        ..Snapshot::default()
    };
    assert_eq!(lines(&waits), ["wait spent.manifest ManifestIncomplete 2000ms"]);
    let refused = Snapshot {
        manifests: vec![manifest("spent.manifest", NOW, valid("e.csv"))],
        files: files(&["e.csv"]),
        ..Snapshot::default()
    };
    let decisions = decide(&refused, &ArrivalOrder::new(), &periods(), spent, silent);
    let import = "sftp1-9".parse().unwrap();
    assert_eq!(
        decisions.claims[0].stem(&import),
        "spent",
        "the newest answer has the stem of the manifest"
    );
    assert_eq!(decisions.claims[0].values.client_email.as_deref(), Some("a@example.com"));
    assert_eq!(decisions.claims[0].claim().data, None);
    let accepts = Pairing { reused_manifest: ReusedManifest::Accept, ..periods() };
    let decisions = decide(&refused, &ArrivalOrder::new(), &accepts, spent, silent);
    assert_eq!(words(&decisions), ["take spent.manifest with e.csv"]);
}

/// Returns the decision about a manifest whose data file exists under a temporary name.
fn arriving(manifest_age: i64, is_open: bool, age: u64) -> String {
    let file = ArrivingFile {
        name: ".in.e.csv".into(),
        is_open,
        age: Age { then: Duration::ZERO, since: Duration::from_secs(age) },
    };
    let snapshot = Snapshot {
        manifests: vec![manifest("e.manifest", NOW - manifest_age, valid("e.csv"))],
        arriving: [("e.csv".to_owned(), file)].into(),
        ..Snapshot::default()
    };
    lines(&snapshot).join("\n")
}

#[test]
fn upload_under_temporary_name_counts_as_arriving() {
    for (manifest_age, is_open, age, expected) in [
        // For a file that is open, the grace period is that of the data file itself.
        (1, true, 0, "wait e.manifest DataFileBeingWritten 1799000ms"),
        (600, true, 0, "wait e.manifest DataFileBeingWritten 1200000ms"),
        (
            1800,
            true,
            0,
            r#"refuse e.manifest: No data file found: ".in.e.csv" is still being written 1800s after its manifest arrived; upload the manifest when the data file is complete"#,
        ),
        // For a closed file, the grace period begins with the last change of the file.
        (600, false, 10, "wait e.manifest NoDataFile 50000ms"),
        (1, false, 100, "wait e.manifest NoDataFile 59000ms"),
        (1790, false, 0, "wait e.manifest NoDataFile 10000ms"),
        (
            600,
            false,
            60,
            r#"refuse e.manifest: No data file found: "e.csv" is not in incoming; ".in.e.csv" was not renamed after its upload"#,
        ),
    ] {
        assert_eq!(
            arriving(manifest_age, is_open, age),
            expected,
            "{manifest_age} {is_open} {age}"
        );
    }
}

#[test]
fn misnamed_manifest_is_refused_after_settle() {
    let content = || {
        let values =
            ManifestValues { data_file: Some("e.csv".into()), ..ManifestValues::default() };
        let findings = "call it e.manifest".into();
        ManifestContent::Read(ParsedManifest::Misnamed { findings, values })
    };
    let snapshot = |age: i64| Snapshot {
        manifests: vec![
            manifest("e.json", NOW - age, content()),
            manifest("f.manifest", NOW, valid("f.csv")),
        ],
        files: files(&["e.csv", "f.csv"]),
        ..Snapshot::default()
    };
    let ended = |entry: &DirEntry| UploadState {
        sessions: crate::audit::WriterState::Ended,
        closed_at: Some(entry.ctime),
        is_known: true,
        ..UploadState::default()
    };
    let decided = |age| {
        let snapshot = Snapshot { tick: second(NOW + 1), ..snapshot(age) };
        words(&decide(&snapshot, &ArrivalOrder::new(), &Pairing::default(), spent, ended))
    };
    // The manifest with the wrong name delays no other manifest.
    assert_eq!(decided(1), ["take f.manifest with f.csv", "wait e.json Misnamed 1000ms"]);
    let refused = "refuse e.json: Incorrect details in manifest file: call it e.manifest";
    assert_eq!(decided(2), [refused, "take f.manifest with f.csv"]);
}

#[test]
fn decomposed_name_finds_the_data_file() {
    let (composed, decomposed) = ("K\u{e4}ufe.csv", "Ka\u{308}ufe.csv");
    let expected = format!("take e.manifest with {decomposed}");
    assert_eq!(line(valid(composed), 0, &[decomposed], &[]), expected);
    let written = line(valid(composed), NOW - 1, &[decomposed], &[decomposed]);
    assert_eq!(written, "wait e.manifest DataFileBeingWritten 1799000ms");
    let twice = Snapshot {
        manifests: vec![
            manifest("a.manifest", 1, valid(composed)),
            manifest("b.manifest", 2, valid(decomposed)),
        ],
        files: files(&[decomposed]),
        ..Snapshot::default()
    };
    assert!(lines(&twice)[1].contains("was claimed with the manifest \"a.manifest\""));
}

#[test]
fn refusal_lists_similar_names() {
    let others = [
        "Events.csv",
        "events.CSV.gz",
        "events.txt",
        "events.csv.filepart",
        "events-2.csv",
        "events (1).csv",
        "other.csv",
    ];
    assert_eq!(
        line(valid("events.csv"), 0, &others, &[]),
        r#"refuse e.manifest: No data file found: "events.csv" is not in incoming; "events.csv.filepart" was not renamed after its upload; similar names in the folder: "Events.csv", "events.txt", "events-2.csv", "events.CSV.gz", "events (1).csv""#
    );
}

#[test]
fn quoted_names_are_escaped_and_truncated() {
    let text = line(valid(&format!("\u{202e}\u{3164}\"{}.csv", "x".repeat(200))), 0, &[], &[]);
    let expected = format!(r#""\u{{202e}}\u{{3164}}\"{}"… is not in incoming"#, "x".repeat(61));
    assert!(text.ends_with(&expected), "{text}");
}
