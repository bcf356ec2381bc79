//! Every decision, by table, with a clock that stands at second 1000.

use super::super::entry::Kind;
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

/// The decisions in one line each: `take`, `refuse` or `wait`, in order.
fn lines(sight: &Sight) -> Vec<String> {
    let decisions = decide(sight, &Order::new(), &Pairing::default(), spent);
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
        // Its data file is not there.
        (valid("e.csv"), young, &[], &[], "wait e.manifest NoDataFile 59000ms"),
        (valid("e.csv"), NOW, &[], &[], "wait e.manifest NoDataFile 60000ms"),
        (
            valid("e.csv"),
            grace_over,
            &[],
            &[],
            r#"refuse e.manifest: No data file found: "e.csv" is not in incoming"#,
        ),
        // It is being written.
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
            r#"refuse e.manifest: No data file found: "e.csv" is still being written 1800s after its manifest came; upload the manifest when the data file is whole"#,
        ),
        // It is no data file by its name, there or not.
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
        // The manifest is not whole, or wrong.
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
            manifest("early.manifest", 0, valid("e.csv")),
        ],
        files: files(&["e.csv"]),
        ..Sight::default()
    };
    assert_eq!(
        lines(&second_one(NOW - 1)),
        ["take early.manifest with e.csv", "wait late.manifest NoDataFile 59000ms"]
    );
    assert_eq!(
        lines(&second_one(1)),
        [
            "take early.manifest with e.csv",
            r#"refuse late.manifest: No data file found: "e.csv" was taken for the manifest "early.manifest""#
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
    let decisions = decide(&refused, &Order::new(), &Pairing::default(), spent);
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
    let text = line(valid(&format!("\u{202e}\"{}.csv", "x".repeat(200))), 0, &[], &[]);
    let expected = format!(r#""\u{{202e}}\"{}"… is not in incoming"#, "x".repeat(62));
    assert!(text.ends_with(&expected), "{text}");
}

#[test]
fn a_grace_of_nothing_refuses_at_once() {
    let sight =
        Sight { manifests: vec![manifest("e.manifest", NOW, valid("e.csv"))], ..Sight::default() };
    let none = Pairing { data_file_grace: crate::config::Period::seconds(0), ..Pairing::default() };
    let decisions = decide(&sight, &Order::new(), &none, spent);
    assert!(decisions.take[0].data.is_err());
    assert_eq!(decisions.look_again_in(), None);
}

#[test]
fn a_clock_set_back_makes_nobody_wait_longer_than_the_period() {
    let mut sight = Sight {
        manifests: vec![manifest("e.manifest", NOW + 1_000_000, valid("e.csv"))],
        ..Sight::default()
    };
    assert_eq!(lines(&sight), ["wait e.manifest NoDataFile 60000ms"]);
    sight.manifests[0].age.since = Duration::from_secs(59);
    assert_eq!(lines(&sight), ["wait e.manifest NoDataFile 1000ms"]);
    sight.manifests[0].age.since = Duration::from_secs(60);
    assert!(lines(&sight)[0].starts_with("refuse"), "{:?}", lines(&sight));
}

/// An hour forward (or a year) while a manifest waits: what counts is for how long it has waited.
#[test]
fn a_clock_set_forward_refuses_nobody_early() {
    let mut sight =
        Sight { manifests: vec![manifest("e.manifest", NOW, valid("e.csv"))], ..Sight::default() };
    sight.manifests[0].age.since = Duration::from_secs(2);
    assert_eq!(lines(&sight), ["wait e.manifest NoDataFile 58000ms"]);
    // First seen after a restart: what the host's clock says is all there is.
    sight.manifests[0].age = Age { then: Duration::from_secs(59), since: Duration::from_secs(1) };
    assert!(lines(&sight)[0].starts_with("refuse"), "{:?}", lines(&sight));
}

#[test]
fn an_age_is_what_the_clock_says_or_nothing() {
    let seconds = |ctime, now| Age::by_clock(second(ctime), second(now)).as_secs();
    assert_eq!((seconds(5, 7), seconds(7, 7), seconds(8, 7)), (2, 0, 0));
}

#[test]
fn looks_again_at_the_first_end_of_a_wait() {
    let sight = Sight {
        manifests: vec![
            manifest("a.manifest", NOW - 10, valid("a.csv")),
            manifest("b.manifest", NOW - 1, invalid()),
            manifest("c.manifest", NOW, Content::BeingWritten),
        ],
        ..Sight::default()
    };
    let decisions = decide(&sight, &Order::new(), &Pairing::default(), spent);
    assert_eq!(decisions.look_again_in(), Some(Duration::from_secs(1)));
    assert_eq!(decisions.waiting.len(), 3);
}

#[test]
fn what_came_in_one_tick_goes_by_arrival_then_by_name() {
    let sight = Sight {
        manifests: ["a.manifest", "b.manifest", "c.manifest"]
            .map(|name| manifest(name, NOW, Content::NotPlain))
            .into(),
        ..Sight::default()
    };
    let order = Order::from([("c.manifest".to_owned(), 1), ("b.manifest".to_owned(), 2)]);
    let decided = decide(&sight, &order, &Pairing::default(), |_| None);
    let names: Vec<_> = decided.take.iter().map(|take| take.manifest.name.as_str()).collect();
    assert_eq!(names, ["c.manifest", "b.manifest", "a.manifest"]);
    assert!(order_is_open(&sight, &order, second(NOW)), "a's event is on its way");
    assert!(!order_is_open(&sight, &order, second(NOW + 2)), "it would be here by now");
    let all = Order::from(["a", "b", "c"].map(|name| (format!("{name}.manifest"), 1)));
    assert!(!order_is_open(&sight, &all, second(NOW)));
}

#[test]
fn a_manifest_settles_before_it_is_taken_where_that_is_asked_for() {
    let file = entry("e.csv", NOW - 9);
    let periods = Pairing { settle: Period::seconds(2), ..Pairing::default() };
    for (age, waits) in
        [(0, Some(Duration::from_secs(2))), (1, Some(Duration::from_secs(1))), (2, None)]
    {
        let valid = Verdict::Valid {
            data_type: DataType::Event,
            data_file: "e.csv".into(),
            client_email: "a@example.com".into(),
        };
        let sight = Sight {
            manifests: vec![manifest("e.manifest", NOW - age, Content::Read(valid))],
            files: vec![file.clone()],
            ..Sight::default()
        };
        let decided = decide(&sight, &Order::new(), &periods, |_| None);
        assert_eq!(decided.look_again_in(), waits);
        assert_eq!(decided.take.len(), usize::from(waits.is_none()));
    }
}
