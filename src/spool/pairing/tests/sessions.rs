//! Tests of complete uploads. An upload is complete when its sessions in the log have ended, or
//! after a time.

use super::*;
use crate::audit::WriterState;

const ENDED: UploadState = UploadState {
    sessions: WriterState::Ended,
    closed_at: None,
    replaced_at: None,
    is_known: true,
    announced_at: None,
};
const CUT: UploadState = UploadState { sessions: WriterState::Cut, ..ENDED };
const UNKNOWN: UploadState = UploadState { sessions: WriterState::Unknown, ..ENDED };

/// Returns a snapshot with `e.manifest` and `e.csv`. Each file was changed the given number of
/// seconds ago.
fn pair(manifest_age: i64, data_age: i64) -> Snapshot {
    let (manifest_at, data_at) = (NOW - manifest_age, NOW - data_age);
    let age = Age { then: Duration::from_secs(data_age.unsigned_abs()), ..Age::default() };
    Snapshot {
        manifests: vec![manifest("e.manifest", manifest_at, valid("e.csv"))],
        files: vec![entry("e.csv", data_at)],
        ages: [("e.csv".to_owned(), age)].into(),
        tick: second(NOW + 1),
        ..Snapshot::default()
    }
}

fn decided(snapshot: &Snapshot, upload: impl Fn(&DirEntry) -> UploadState) -> Vec<String> {
    words(&decide(snapshot, &ArrivalOrder::new(), &Pairing::default(), spent, upload))
}

#[test]
fn pair_is_ready_when_its_sessions_have_ended() {
    assert_eq!(decided(&pair(0, 0), |_| ENDED), ["take e.manifest with e.csv"]);
    for open in ["e.manifest", "e.csv"] {
        let one_open = |entry: &DirEntry| if entry.name == open { UNKNOWN } else { ENDED };
        assert_eq!(decided(&pair(0, 0), one_open), ["wait e.manifest Settling 2000ms"]);
    }
}

#[test]
fn pair_is_ready_after_settle() {
    for (manifest_age, data_age, expected) in [
        (0, 9, "wait e.manifest Settling 2000ms"),
        (9, 1, "wait e.manifest Settling 1000ms"),
        (2, 2, "take e.manifest with e.csv"),
    ] {
        assert_eq!(decided(&pair(manifest_age, data_age), |_| UNKNOWN), [expected]);
    }
}

#[test]
fn a_change_announced_in_the_log_counts() {
    for (seconds_ago, expected) in [
        (1, "wait e.manifest Settling 1000ms"),
        (2, "take e.manifest with e.csv"),
        (-9, "take e.manifest with e.csv"), // the clock was set back
    ] {
        let announced_at = Some(second(NOW + 1 - seconds_ago));
        let announced = |_: &DirEntry| UploadState { announced_at, ..UNKNOWN };
        assert_eq!(decided(&pair(9, 9), announced), [expected]);
    }
}

#[test]
fn pair_waits_for_next_tick_after_change() {
    let snapshot =
        Snapshot { tick: second(NOW), next_tick: Duration::from_millis(3), ..pair(0, 5) };
    assert_eq!(decided(&snapshot, |_| ENDED), ["wait e.manifest Settling 3ms"]);
}

#[test]
fn an_interrupted_upload_waits_for_its_resumption() {
    for (data_age, expected) in
        [(9, "wait e.manifest Cut 51000ms"), (60, "take e.manifest with e.csv")]
    {
        let cut = |entry: &DirEntry| if entry.name == "e.csv" { CUT } else { ENDED };
        assert_eq!(decided(&pair(60, data_age), cut), [expected]);
        let cut = |entry: &DirEntry| if entry.name == "e.manifest" { CUT } else { ENDED };
        assert_eq!(decided(&pair(data_age, 60), cut), [expected]);
    }
}

#[test]
fn an_invalid_manifest_waits_for_its_quiet_period() {
    let snapshot = Snapshot {
        manifests: vec![manifest("e.manifest", NOW - 1, invalid())],
        tick: second(NOW),
        ..Snapshot::default()
    };
    assert_eq!(decided(&snapshot, |_| ENDED), ["wait e.manifest Settling 1000ms"]);
}

#[test]
fn refusal_waits_for_the_end_of_upload() {
    let snapshot = Snapshot {
        manifests: vec![manifest("spent.manifest", NOW, valid("e.csv"))],
        tick: second(NOW + 1),
        ..Snapshot::default()
    };
    assert_eq!(decided(&snapshot, |_| UNKNOWN), ["wait spent.manifest Settling 2000ms"]);
    assert!(decided(&snapshot, |_| ENDED)[0].starts_with("refuse spent.manifest"));
}

/// Checks the decision about the second of two pairs for each state of the first pair.
#[test]
fn later_pair_waits_only_for_settling_pair() {
    let behind = "wait late.manifest Behind";
    let taken = "take late.manifest with late.csv";
    for (first, there, being_written, second_one) in [
        (UNKNOWN, true, false, behind),
        (CUT, true, false, taken),
        (UNKNOWN, true, true, taken),
        (UNKNOWN, false, false, taken),
        (ENDED, true, false, taken),
    ] {
        let mut snapshot = pair(1, 1);
        snapshot.manifests.push(manifest("late.manifest", NOW, valid("late.csv")));
        snapshot.files.push(entry("late.csv", NOW));
        if !there {
            snapshot.files.retain(|file| file.name != "e.csv");
        }
        if being_written {
            snapshot.being_written.insert("e.csv".into());
        }
        let upload = |entry: &DirEntry| if entry.name.starts_with("late") { ENDED } else { first };
        let decided = decided(&snapshot, upload);
        assert!(decided.iter().any(|line| line == second_one), "{first:?} {decided:?}");
    }
}

#[test]
fn manifest_with_replaced_data_file_is_refused() {
    let closed_at = |n| UploadState { closed_at: Some(second(n)), ..ENDED };
    let replaced = |entry: &DirEntry| match entry.name.as_str() {
        "e.csv" => UploadState { replaced_at: Some(second(NOW - 5)), ..closed_at(NOW - 5) },
        "late.manifest" => closed_at(NOW - 4),
        _ => closed_at(NOW - 6),
    };
    let mut snapshot = pair(6, 5);
    snapshot.manifests.push(manifest("late.manifest", NOW - 4, valid("e.csv")));
    let refused = "refuse e.manifest: No data file found: e.csv was uploaded again before this pair \
         was claimed: end the session, wait 2 s or use another name";
    let both = ["take late.manifest with e.csv", refused];
    let sorted = |snapshot: &Snapshot, upload: &dyn Fn(&DirEntry) -> UploadState| {
        let mut lines = decided(snapshot, upload);
        lines.sort_by_key(|line| !line.starts_with("take"));
        lines
    };
    assert_eq!(sorted(&snapshot, &replaced), both);
    assert_eq!(sorted(&snapshot, &silent), both, "the file times alone must be sufficient");
    snapshot.manifests.pop();
    assert_eq!(decided(&snapshot, replaced), [refused], "the refusal needs no later manifest");
    assert_eq!(
        decided(&snapshot, silent),
        ["take e.manifest with e.csv"],
        "the manifest arrived first"
    );
    let resumed = |_: &DirEntry| closed_at(NOW - 6);
    assert_eq!(decided(&snapshot, resumed), ["take e.manifest with e.csv"]);
}
