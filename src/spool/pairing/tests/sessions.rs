//! Tests: an upload is finished by the sessions in the log, or by time.

use super::*;
use crate::audit::Sessions;

const ENDED: Upload = Upload {
    sessions: Sessions::Ended,
    closed_at: None,
    replaced_at: None,
    is_known: true,
    announced_at: None,
};
const CUT: Upload = Upload { sessions: Sessions::Cut, ..ENDED };
const UNKNOWN: Upload = Upload { sessions: Sessions::Unknown, ..ENDED };

/// Returns `e.manifest` and `e.csv`, changed that many seconds ago.
fn pair(manifest_age: i64, data_age: i64) -> Sight {
    let (manifest_at, data_at) = (NOW - manifest_age, NOW - data_age);
    let age = Age { then: Duration::from_secs(data_age.unsigned_abs()), ..Age::default() };
    Sight {
        manifests: vec![manifest("e.manifest", manifest_at, valid("e.csv"))],
        files: vec![entry("e.csv", data_at)],
        ages: [("e.csv".to_owned(), age)].into(),
        tick: second(NOW + 1),
        ..Sight::default()
    }
}

fn decided(sight: &Sight, upload: impl Fn(&Entry) -> Upload) -> Vec<String> {
    words(&decide(sight, &Order::new(), &Pairing::default(), spent, upload))
}

#[test]
fn a_pair_is_ready_when_its_sessions_have_ended() {
    assert_eq!(decided(&pair(0, 0), |_| ENDED), ["take e.manifest with e.csv"]);
    for open in ["e.manifest", "e.csv"] {
        let one_open = |entry: &Entry| if entry.name == open { UNKNOWN } else { ENDED };
        assert_eq!(decided(&pair(0, 0), one_open), ["wait e.manifest Settling 2000ms"]);
    }
}

#[test]
fn a_pair_is_ready_when_both_files_are_unchanged_for_settle() {
    for (manifest_age, data_age, expected) in [
        (0, 9, "wait e.manifest Settling 2000ms"),
        (9, 1, "wait e.manifest Settling 1000ms"),
        (2, 2, "take e.manifest with e.csv"),
    ] {
        assert_eq!(decided(&pair(manifest_age, data_age), |_| UNKNOWN), [expected]);
    }
}

#[test]
fn a_change_that_the_log_announces_counts_as_one() {
    for (seconds_ago, expected) in [
        (1, "wait e.manifest Settling 1000ms"),
        (2, "take e.manifest with e.csv"),
        (-9, "take e.manifest with e.csv"), // the clock was set back
    ] {
        let announced_at = Some(second(NOW + 1 - seconds_ago));
        let announced = |_: &Entry| Upload { announced_at, ..UNKNOWN };
        assert_eq!(decided(&pair(9, 9), announced), [expected]);
    }
}

#[test]
fn a_change_within_the_tick_of_the_listing_is_waited_for() {
    let sight = Sight { tick: second(NOW), next_tick: Duration::from_millis(3), ..pair(0, 5) };
    assert_eq!(decided(&sight, |_| ENDED), ["wait e.manifest Settling 3ms"]);
}

#[test]
fn a_cut_upload_waits_for_its_resume_then_goes_on() {
    for (data_age, expected) in
        [(9, "wait e.manifest Cut 51000ms"), (60, "take e.manifest with e.csv")]
    {
        let cut = |entry: &Entry| if entry.name == "e.csv" { CUT } else { ENDED };
        assert_eq!(decided(&pair(60, data_age), cut), [expected]);
        let cut = |entry: &Entry| if entry.name == "e.manifest" { CUT } else { ENDED };
        assert_eq!(decided(&pair(data_age, 60), cut), [expected]);
    }
}

#[test]
fn a_manifest_that_does_not_parse_waits_whatever_its_session_did() {
    let sight = Sight {
        manifests: vec![manifest("e.manifest", NOW - 1, invalid())],
        tick: second(NOW),
        ..Sight::default()
    };
    assert_eq!(decided(&sight, |_| ENDED), ["wait e.manifest Settling 1000ms"]);
}

#[test]
fn a_refusal_waits_for_the_uploader_of_the_manifest() {
    let sight = Sight {
        manifests: vec![manifest("spent.manifest", NOW, valid("e.csv"))],
        tick: second(NOW + 1),
        ..Sight::default()
    };
    assert_eq!(decided(&sight, |_| UNKNOWN), ["wait spent.manifest Settling 2000ms"]);
    assert!(decided(&sight, |_| ENDED)[0].starts_with("refuse spent.manifest"));
}

/// Checks the decision about the second of two pairs, while the first is in some state.
#[test]
fn a_later_pair_waits_for_one_that_settles_and_for_no_other() {
    let behind = "wait late.manifest Behind";
    let taken = "take late.manifest with late.csv";
    for (first, there, being_written, second_one) in [
        (UNKNOWN, true, false, behind),
        (CUT, true, false, taken),
        (UNKNOWN, true, true, taken),
        (UNKNOWN, false, false, taken),
        (ENDED, true, false, taken),
    ] {
        let mut sight = pair(1, 1);
        sight.manifests.push(manifest("late.manifest", NOW, valid("late.csv")));
        sight.files.push(entry("late.csv", NOW));
        if !there {
            sight.files.retain(|file| file.name != "e.csv");
        }
        if being_written {
            sight.being_written.insert("e.csv".into());
        }
        let upload = |entry: &Entry| if entry.name.starts_with("late") { ENDED } else { first };
        let decided = decided(&sight, upload);
        assert!(decided.iter().any(|line| line == second_one), "{first:?} {decided:?}");
    }
}

#[test]
fn a_manifest_whose_complete_data_file_was_replaced_is_refused() {
    let closed_at = |n| Upload { closed_at: Some(second(n)), ..ENDED };
    let replaced = |entry: &Entry| match entry.name.as_str() {
        "e.csv" => Upload { replaced_at: Some(second(NOW - 5)), ..closed_at(NOW - 5) },
        "late.manifest" => closed_at(NOW - 4),
        _ => closed_at(NOW - 6),
    };
    let mut sight = pair(6, 5);
    sight.manifests.push(manifest("late.manifest", NOW - 4, valid("e.csv")));
    let refused = "refuse e.manifest: No data file found: e.csv was uploaded again before this pair \
         was claimed: end the session, wait 2 s or use another name";
    let both = ["take late.manifest with e.csv", refused];
    let sorted = |sight: &Sight, upload: &dyn Fn(&Entry) -> Upload| {
        let mut lines = decided(sight, upload);
        lines.sort_by_key(|line| !line.starts_with("take"));
        lines
    };
    assert_eq!(sorted(&sight, &replaced), both);
    assert_eq!(sorted(&sight, &silent), both, "the times alone show it");
    sight.manifests.pop();
    assert_eq!(decided(&sight, replaced), [refused], "without a later manifest too");
    assert_eq!(
        decided(&sight, silent),
        ["take e.manifest with e.csv"],
        "the manifest arrived first"
    );
    let resumed = |_: &Entry| closed_at(NOW - 6);
    assert_eq!(decided(&sight, resumed), ["take e.manifest with e.csv"]);
}
