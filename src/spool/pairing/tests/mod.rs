//! Tests: every decision, at second 1000.

mod sessions;
pub mod times;

use super::super::incoming::entry::Kind;
use super::*;
use crate::config::Period;
use crate::spool::Order;

const NOW: i64 = 1000;

fn second(n: i64) -> Timestamp {
    Timestamp::from_second(n).unwrap()
}

fn entry(name: &str, ctime: i64) -> Entry {
    let ino = name.len() as u64;
    Entry {
        name: name.into(),
        kind: Kind::Regular,
        size: 1,
        ctime: second(ctime),
        dev: 1,
        ino,
        nlink: 1,
    }
}

fn manifest(name: &str, ctime: i64, content: Content) -> ManifestSeen {
    let age = Age { then: Age::by_clock(second(ctime), second(NOW)), since: Duration::ZERO };
    ManifestSeen { entry: entry(name, ctime), content, age }
}

fn valid(data_file: &str) -> Content {
    Content::Read(Verdict::Valid {
        data_type: DataType::Event,
        data_file: data_file.into(),
        client_email: "a@example.com".into(),
    })
}

fn invalid() -> Content {
    let known = Known { client_email: Some("a@example.com".into()), ..Known::default() };
    Content::Read(Verdict::Invalid { findings: "line 1, column 2: expected a key".into(), known })
}

fn files(names: &[&str]) -> Vec<Entry> {
    names.iter().map(|name| entry(name, 1)).collect()
}

fn spent(name: &str) -> Option<ImportId> {
    (name == "spent.manifest").then(|| "sftp1-7".parse().unwrap())
}

/// The default periods, except that files need not settle.
fn periods() -> Pairing {
    Pairing { settle: Period::seconds(0), ..Pairing::default() }
}

/// A log that shows nothing.
fn silent(_: &Entry) -> Upload {
    Upload::default()
}

/// Returns the decisions as one line each: `take`, `refuse` or `wait`, in order.
fn lines(sight: &Sight) -> Vec<String> {
    let decisions = decide(sight, &Order::new(), &periods(), spent, silent);
    words(&decisions)
}

fn words(decisions: &Decisions) -> Vec<String> {
    let take = decisions.take.iter().map(|take| match &take.data {
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

fn line(content: Content, ctime: i64, others: &[&str], being_written: &[&str]) -> String {
    let sight = Sight {
        manifests: vec![manifest("e.manifest", ctime, content)],
        files: files(others),
        being_written: being_written.iter().map(|&name| name.into()).collect(),
        ..Sight::default()
    };
    lines(&sight).join("\n")
}

#[test]
fn one_manifest() {
    let (young, grace_over, open_over) = (NOW - 1, NOW - 60, NOW - 1800);
    for (content, ctime, others, being_written, expected) in [
        (valid("e.csv"), young, &["e.csv"][..], &[][..], "take e.manifest with e.csv"),
        (valid("e.csv"), 0, &["e.csv"], &[], "take e.manifest with e.csv"),
        (valid("E.CSV.GZ"), young, &["E.CSV.GZ"], &[], "take e.manifest with E.CSV.GZ"),
        // The data file is missing.
        (valid("e.csv"), young, &[], &[], "wait e.manifest NoDataFile 59000ms"),
        (valid("e.csv"), NOW, &[], &[], "wait e.manifest NoDataFile 60000ms"),
        (
            valid("e.csv"),
            grace_over,
            &[],
            &[],
            r#"refuse e.manifest: No data file found: "e.csv" is not in incoming"#,
        ),
        // The data file is being written.
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
        // By its name it is no data file, whether it exists or not.
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
        // The manifest is incomplete or invalid.
        (Content::BeingWritten, 0, &["e.csv"], &[], "wait e.manifest ManifestBeingWritten"),
        (invalid(), young, &["e.csv"], &[], "wait e.manifest ManifestNotWhole 1000ms"),
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
fn what_is_not_a_plain_file_is_refused() {
    let link = Entry { kind: Kind::Other, ..entry("e.csv", 1) };
    let folder = Entry { kind: Kind::Folder, ..entry("e.csv", 1) };
    let linked = Entry { nlink: 2, ..entry("e.csv", 1) };
    for (data, what) in [
        (link, "is not a regular file"),
        (folder, "is a folder"),
        (linked, "has 2 names (hard links)"),
    ] {
        let manifests = vec![manifest("e.manifest", NOW, valid("e.csv"))];
        let sight = Sight { manifests, files: vec![data], ..Sight::default() };
        let expected = format!(
            r#"refuse e.manifest: File couldn't be read: the data file "e.csv" {what}; upload it as a file of its own"#
        );
        assert_eq!(lines(&sight), [expected]);
    }
    let mut odd = manifest("e.manifest", NOW, Content::NotPlain);
    odd.entry.kind = Kind::Other;
    let sight = Sight { manifests: vec![odd], ..Sight::default() };
    assert_eq!(
        lines(&sight),
        [
            r#"refuse e.manifest: File couldn't be read: the manifest "e.manifest" is not a regular file; upload it as a file of its own"#
        ]
    );
}

#[test]
fn taken_in_the_order_of_upload_then_by_name() {
    let sight = Sight {
        manifests: vec![
            manifest("c.manifest", NOW - 1, valid("c.csv")),
            manifest("b.manifest", NOW - 2, valid("b.csv")),
            manifest("a.manifest", NOW - 1, valid("a.csv")),
            manifest("spent.manifest", NOW - 3, valid("b.csv")),
        ],
        files: files(&["a.csv", "b.csv", "c.csv"]),
        ..Sight::default()
    };
    assert_eq!(
        lines(&sight),
        [
            r#"refuse spent.manifest: Incorrect details in manifest file: the name "spent.manifest" was used before, by import sftp1-7; create a new manifest file with a new name"#,
            "take b.manifest with b.csv",
            "take a.manifest with a.csv",
            "take c.manifest with c.csv",
        ]
    );
}

#[test]
fn the_earlier_of_two_manifests_gets_the_data_file() {
    let second_one = |ctime| Sight {
        manifests: vec![
            manifest("late.manifest", ctime, valid("e.csv")),
            manifest("early.manifest", 1, valid("e.csv")),
        ],
        files: files(&["e.csv"]),
        ..Sight::default()
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
fn a_refused_manifest_leaves_the_data_file_to_the_next() {
    let sight = Sight {
        manifests: vec![
            manifest("bad.manifest", 0, invalid()),
            manifest("spent.manifest", 1, valid("e.csv")),
            manifest("good.manifest", 2, valid("e.csv")),
        ],
        files: files(&["e.csv"]),
        ..Sight::default()
    };
    assert_eq!(lines(&sight)[2], "take good.manifest with e.csv");
}

#[test]
fn a_spent_name_is_not_judged_before_it_is_whole_and_keeps_the_earlier_answers() {
    let waits =
        Sight { manifests: vec![manifest("spent.manifest", NOW, invalid())], ..Sight::default() };
    assert_eq!(lines(&waits), ["wait spent.manifest ManifestNotWhole 2000ms"]);
    let refused = Sight {
        manifests: vec![manifest("spent.manifest", NOW, valid("e.csv"))],
        ..Sight::default()
    };
    let decisions = decide(&refused, &Order::new(), &periods(), spent, silent);
    let import = "sftp1-9".parse().unwrap();
    assert_eq!(decisions.take[0].stem(&import), "sftp1-9");
    assert_eq!(decisions.take[0].known.client_email.as_deref(), Some("a@example.com"));
    assert_eq!(decisions.take[0].claim().data, None);
}

#[test]
fn similar_names_help() {
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
        r#"refuse e.manifest: No data file found: "events.csv" is not in incoming; similar names there: "Events.csv", "events.txt", "events-2.csv", "events.CSV.gz", "events (1).csv""#
    );
}

#[test]
fn quoted_names_are_escaped_and_cut() {
    let text = line(valid(&format!("\u{202e}\u{3164}\"{}.csv", "x".repeat(200))), 0, &[], &[]);
    let expected = format!(r#""\u{{202e}}\u{{3164}}\"{}"… is not in incoming"#, "x".repeat(61));
    assert!(text.ends_with(&expected), "{text}");
}
