//! Tests of the tracker with sessions of several accounts, lines of other users, and floods of
//! lines.

use super::*;
use crate::audit::activity_limit::LINES_PER_MINUTE;
use crate::audit::logged_name::LoggedName;
use crate::audit::upload_outcome::{Doubt, WriterState};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn id(text: &str) -> AccountId {
    text.parse().unwrap()
}

/// Returns a tracker of `acme` (user id 70000) and `other` (user id 70001). The log is complete.
fn tracker() -> SessionTracker {
    let mut tracker = SessionTracker::new(70_000..=79_999);
    tracker.set_accounts([(70_000, id("acme")), (70_001, id("other"))].into_iter());
    for account in ["acme", "other"] {
        tracker.outcomes_mut(&id(account)).set_complete_since(at(0));
    }
    tracker
}

fn line(uid: u32, message: &str) -> LogLine {
    let bytes = format!("<38>Nov 25 18:12:24 internal-sftp[7]: {message}").into_bytes();
    LogLine { uid, pid: 7, at: at(10), bytes }
}

fn send(tracker: &mut SessionTracker, uid: u32, messages: &[&str]) {
    messages.iter().for_each(|message| tracker.process(line(uid, message)));
}

fn doubt(tracker: &mut SessionTracker, account: &str, name: &str) -> Option<Doubt> {
    tracker.outcomes_mut(&id(account)).doubt(name, at(11))
}

fn actions(tracker: &mut SessionTracker, account: &str) -> Vec<String> {
    let updates = tracker.drain_updates(at(10));
    let update = updates.into_iter().find(|update| update.account == id(account));
    let lines = update.map(|update| update.lines).unwrap_or_default();
    lines.into_iter().map(|line| format!("{} {}", line.action, line.detail)).collect()
}

const OPEN: &str = "open \"/incoming/e.csv\" flags WRITE,CREATE,TRUNCATE mode 0644";
const CUT: &str = "forced close \"/incoming/e.csv\" bytes read 0 written 6";
const CLOSE: &str = "close \"/incoming/e.csv\" bytes read 0 written 6";
const SESSION: &str = "session opened for local user acme from [192.0.2.7]";

#[test]
fn an_interrupted_upload_is_logged_and_recorded() {
    let mut tracker = tracker();
    let end = "session closed for local user acme from [192.0.2.7]";
    send(&mut tracker, 70_000, &[SESSION, OPEN, CUT, end]);
    let Some(Doubt::CutOff(outcome)) = doubt(&mut tracker, "acme", "e.csv") else { panic!() };
    assert_eq!(outcome.from.as_deref(), Some("192.0.2.7"));
    assert_eq!(doubt(&mut tracker, "other", "e.csv"), None);
    assert_eq!(
        actions(&mut tracker, "acme"),
        [
            "session.opened 192.0.2.7",
            "file.opened /incoming/e.csv, write access",
            "file.cut_off /incoming/e.csv: 6 bytes written, 0 bytes read",
            "session.closed 192.0.2.7",
        ]
    );
    assert!(tracker.sessions.is_empty());
}

#[test]
fn a_line_is_assigned_by_its_sender() {
    let mut tracker = tracker();
    send(&mut tracker, 1000, &[OPEN, CUT]);
    send(&mut tracker, 0, &[OPEN, CUT]);
    assert!(tracker.drain_updates(at(10)).is_empty() && tracker.unassigned.is_empty());
    send(&mut tracker, 70_001, &["session opened for local user acme from [192.0.2.7]", OPEN, CUT]);
    assert_eq!(doubt(&mut tracker, "acme", "e.csv"), None);
    assert!(doubt(&mut tracker, "other", "e.csv").is_some());
}

#[test]
fn log_lines_are_held_only_for_account_users() {
    for (uid, unassigned) in [(69_999, 0), (70_000, 1), (79_999, 1), (80_000, 0)] {
        let mut tracker = SessionTracker::new(70_000..=79_999);
        send(&mut tracker, uid, &[OPEN]);
        assert_eq!(tracker.unassigned.len(), unassigned, "{uid}");
    }
}

#[test]
fn log_lines_are_held_until_account_is_known() {
    let mut tracker = tracker();
    send(&mut tracker, 70_002, &[OPEN, CUT]);
    send(&mut tracker, 70_003, &vec![OPEN; 2 * MAX_UNASSIGNED]);
    assert_eq!(tracker.unassigned.len(), MAX_UNASSIGNED);
    send(&mut tracker, 70_002, &[OPEN, CUT]);
    tracker.set_accounts([(70_002, id("new"))].into_iter());
    tracker.outcomes_mut(&id("new")).set_complete_since(at(0));
    assert!(doubt(&mut tracker, "new", "e.csv").is_some());
    assert!(tracker.unassigned.is_empty() && !tracker.accounts_activity.contains_key(&id("acme")));
}

#[test]
fn failed_request_changes_nothing() {
    let mut tracker = tracker();
    let rename = |new: &str| format!("rename old \"e.csv\" new \"{new}\"");
    let failed = "sent status Failure";
    send(&mut tracker, 70_000, &[OPEN, CUT, &rename("nosuch/x"), "sent status No such file"]);
    assert!(doubt(&mut tracker, "acme", "e.csv").is_some());
    send(&mut tracker, 70_000, &["remove name \"e.csv\"", failed]);
    assert!(doubt(&mut tracker, "acme", "e.csv").is_some());
    let good = [OPEN.replace("e.csv", "g.csv"), CLOSE.replace("e.csv", "g.csv")];
    send(&mut tracker, 70_000, &[&good[0], &good[1], "rename old \"g.csv\" new \"e.csv\"", failed]);
    assert!(doubt(&mut tracker, "acme", "e.csv").is_some(), "the file was not replaced");
    assert_eq!(doubt(&mut tracker, "acme", "g.csv"), None);
    send(&mut tracker, 70_000, &[&good[0], "sent status Permission denied"]);
    assert_eq!(doubt(&mut tracker, "acme", "g.csv"), None, "the file was not opened");
    send(&mut tracker, 70_000, &[&good[0], failed]);
    assert!(doubt(&mut tracker, "acme", "g.csv").is_some(), "the disk may be full");
}

const DENIED: &str = "sent status Permission denied";
const MISSING: &str = "sent status No such file";

#[track_caller]
fn shows(messages: &[&str], expected: &[&str]) {
    let mut tracker = tracker();
    send(&mut tracker, 70_000, messages);
    let mut lines = actions(&mut tracker, "acme");
    for update in tracker.drain_updates(at(11)) {
        lines.extend(update.lines.iter().map(|line| format!("{} {}", line.action, line.detail)));
    }
    assert_eq!(lines, expected, "{messages:?}");
}

/// The log lines are spelled as OpenSSH 9.2 logged them.
#[test]
fn refused_requests_are_logged_as_refused() {
    shows(
        &[
            "remove name \"/results/x.csv\"",
            DENIED,
            "posix-rename old \"/results/x.csv\" new \"/incoming/y.csv\"",
            DENIED,
            "open \"/results/x.csv\" flags WRITE,CREATE,TRUNCATE mode 0755",
            DENIED,
            "rename old \"/incoming/a b.csv\" new \"/results/z.csv\"",
            DENIED,
        ],
        &[
            "file.remove_refused /results/x.csv: Permission denied",
            "file.rename_refused /results/x.csv to /incoming/y.csv: Permission denied",
            "file.open_refused /results/x.csv, write access: Permission denied",
            "file.rename_refused \"/incoming/a b.csv\" to /results/z.csv: Permission denied",
        ],
    );
}

#[test]
fn ambiguous_failure_is_logged_as_unconfirmed() {
    let whose = "the status answers this request or a later request that is not logged";
    shows(
        &["remove name \"nosuch.csv\"", MISSING],
        &[&format!("file.remove_unconfirmed nosuch.csv: No such file, {whose}")],
    );
    shows(
        &["open \"/results/x.csv\" flags READ mode 0666", MISSING],
        &[&format!("file.open_unconfirmed /results/x.csv, read access: No such file, {whose}")],
    );
}

#[test]
fn another_requests_failure_does_not_change_the_line() {
    // The file exists, so the status belongs to a request for another file.
    let rename = "posix-rename old \"e.csv\" new \"f.csv\"";
    shows(
        &[OPEN, CLOSE, rename, MISSING, "remove name \"f.csv\"", MISSING],
        &[
            "file.opened /incoming/e.csv, write access",
            "file.closed /incoming/e.csv: 6 bytes written, 0 bytes read",
            "file.renamed e.csv to f.csv",
            "file.removed f.csv",
        ],
    );
    shows(&[OPEN, MISSING], &["file.opened /incoming/e.csv, write access"]);
    // The log contains the other request, which failed.
    for other in ["stat name \"nosuch\"", "Refusing denylisted mkdir request", "mkdir name \"d\""] {
        shows(&["remove name \"x.csv\"", other, DENIED], &["file.removed x.csv"]);
    }
}

#[test]
fn ambiguous_quoted_names_are_logged_as_ambiguous() {
    shows(
        &["remove name \"/results/a\"b.csv\"", DENIED],
        &["file.remove_refused \"/results/a\\\"b.csv\": Permission denied"],
    );
    let end = "session closed for local user acme from [192.0.2.7]";
    shows(
        &["rename old \"x\" new \"y\" new \"z\"", end],
        &[
            "file.renamed both names are in \"x\" new \"y\" new \"z\", the end of the old name is unknown",
            "session.closed ",
        ],
    );
    let long = format!("remove name \"{}\"", "x".repeat(600));
    let mut tracker = tracker();
    send(&mut tracker, 70_000, &[&long[..500], end]);
    let lines = actions(&mut tracker, "acme");
    assert!(lines[0].ends_with("xxx… (cut off in the log)"), "{lines:?}");
}

fn upload(tracker: &SessionTracker, name: &str) -> crate::audit::UploadState {
    tracker.outcomes(&id("acme")).unwrap().upload_state(&LoggedName::of(name), at(10))
}

/// A refused request doesn't change an outcome. A request that may have been refused makes the
/// outcome worse.
#[test]
fn a_refused_request_does_not_change_the_outcome() {
    let g = [OPEN.replace("e.csv", "g.csv"), CLOSE.replace("e.csv", "g.csv")];
    let before = |tracker: &mut SessionTracker| {
        of_process(tracker, 7, &[SESSION, OPEN, CLOSE, &g[0], &g[1], END]);
        upload(tracker, "e.csv")
    };
    for refused in [
        ["remove name \"/results/e.csv\"", DENIED],
        ["rename old \"e.csv\" new \"/results/e.csv\"", DENIED],
        ["rename old \"g.csv\" new \"e.csv\"", "sent status Failure"],
    ] {
        let mut tracker = tracker();
        let known = before(&mut tracker);
        assert_eq!(known.sessions, WriterState::Ended);
        of_process(&mut tracker, 8, &[SESSION, refused[0], refused[1]]);
        assert_eq!(upload(&tracker, "e.csv"), known, "{refused:?}");
    }
    // Requests that may have succeeded make the outcome worse.
    for request in [
        ["posix-rename old \"g.csv\" new \"e.csv\"", DENIED],
        ["remove name \"e.csv\"", DENIED],
        [OPEN, DENIED],
        ["posix-rename old \"e.csv\" new \"g.csv\"", "sent status Failure"],
    ] {
        let mut tracker = tracker();
        before(&mut tracker);
        of_process(&mut tracker, 8, &[SESSION, request[0], request[1]]);
        assert_eq!(upload(&tracker, "e.csv").sessions, WriterState::Unknown, "{request:?}");
        assert_eq!(doubt(&mut tracker, "acme", "e.csv"), None, "{request:?}");
    }
}

/// Another session opens the file between a request and its refusal.
#[test]
fn a_refused_request_changes_no_other_session() {
    let mut tracker = tracker();
    of_process(&mut tracker, 7, &[SESSION, OPEN, CLOSE]);
    of_process(&mut tracker, 8, &[SESSION, "rename old \"e.csv\" new \"/results/e.csv\""]);
    of_process(&mut tracker, 7, &[OPEN]);
    of_process(&mut tracker, 8, &[DENIED]);
    assert!(doubt(&mut tracker, "acme", "e.csv").is_some(), "the file is open");
}

#[test]
fn renames_move_outcomes_and_removals_delete_them() {
    let mut tracker = tracker();
    send(&mut tracker, 70_000, &[OPEN, CUT, "posix-rename old \"e.csv\" new \"/incoming/f.csv\""]);
    assert!(doubt(&mut tracker, "acme", "f.csv").is_some());
    assert_eq!(doubt(&mut tracker, "acme", "e.csv"), None);
    send(&mut tracker, 70_000, &["remove name \"f.csv\""]);
    assert_eq!(doubt(&mut tracker, "acme", "f.csv"), None);
    // Quotes make the line ambiguous. An old name with a known outcome decides; otherwise all files
    // are in doubt.
    let tricky = OPEN.replace("e.csv", "a\" new \"b");
    let cut = CUT.replace("e.csv", "a\" new \"b");
    send(&mut tracker, 70_000, &[&tricky, &cut, "rename old \"a\" new \"b\" new \"c\""]);
    assert!(matches!(doubt(&mut tracker, "acme", "c"), Some(Doubt::CutOff(_))));
    send(&mut tracker, 70_000, &["rename old \"x\" new \"y\" new \"z\""]);
    let soon = at(10).checked_add(jiff::SignedDuration::from_millis(50)).unwrap();
    assert_eq!(tracker.outcomes_mut(&id("acme")).doubt("z", soon), Some(Doubt::Unknown));
}

#[test]
fn log_lines_are_limited_but_outcomes_are_kept() {
    let mut tracker = tracker();
    for n in 0..50_000 {
        let file = format!("{}.csv", n % 500);
        send(
            &mut tracker,
            70_000,
            &[&OPEN.replace("e.csv", &file), &CLOSE.replace("e.csv", &file)],
        );
    }
    send(&mut tracker, 70_000, &[OPEN, CUT]);
    assert!(doubt(&mut tracker, "acme", "e.csv").is_some());
    let updates = tracker.drain_updates(at(20));
    let [update] = &updates[..] else { panic!() };
    assert_eq!((update.lines.len(), update.changes.names.len()), (LINES_PER_MINUTE as usize, 501));
    tracker.requeue(updates);
    assert_eq!(tracker.drain_updates(at(21))[0].changes.names.len(), 501);
    let later = tracker.drain_updates(at(70));
    assert_eq!(later[0].lines[0].action, "audit.left_out");
}

#[test]
fn a_repeated_login_line_is_ignored() {
    let mut tracker = tracker();
    let login = |second, from: &str| Login {
        at: at(second),
        account: id("acme"),
        is_accepted: true,
        from: from.into(),
        port: 1,
        algorithm: "ED25519".into(),
        fingerprint: "SHA256:a".into(),
    };
    tracker.load_key_use(&id("acme"), "SHA256:a".into(), KeyUse { at: at(5), from: "::1".into() });
    for (second, from) in [(4, "a"), (5, "b"), (6, "192.0.2.7"), (6, "c")] {
        tracker.record_login(login(second, from));
    }
    tracker.record_login(Login { account: id("nobody"), ..login(9, "d") });
    let updates = tracker.drain_updates(at(10));
    let [update] = &updates[..] else { panic!("{updates:?}") };
    assert_eq!(update.lines.len(), 1);
    assert_eq!(update.lines[0].detail, "ED25519 SHA256:a from 192.0.2.7");
    assert_eq!(update.uses, [("SHA256:a".into(), KeyUse { at: at(6), from: "192.0.2.7".into() })]);
    tracker.requeue(updates);
    assert_eq!(tracker.drain_updates(at(10))[0].uses.len(), 1);
}

#[test]
fn an_account_without_log_lines_has_no_updates() {
    let mut tracker = tracker();
    tracker.drain_updates(at(10));
    assert_eq!(tracker.pending.len(), 0);
    for _ in 0..2 * LINES_PER_MINUTE {
        send(&mut tracker, 70_000, &[SESSION]);
    }
    let updates = tracker.drain_updates(at(10));
    assert_eq!((updates.len(), tracker.pending.len()), (1, 1), "a count of left-out lines is due");
    tracker.drain_updates(at(70));
    assert_eq!(tracker.pending.len(), 0);
    tracker.requeue(updates);
    assert_eq!(
        tracker.drain_updates(at(71)).len(),
        1,
        "lines that could not be stored are requeued"
    );
}

/// Processes lines of the session with process id `pid`.
fn of_process(tracker: &mut SessionTracker, pid: i32, messages: &[&str]) {
    for message in messages {
        tracker.process(LogLine { pid, ..line(70_000, message) });
    }
}

const END: &str = "session closed for local user acme from [192.0.2.7]";

fn has_ended(tracker: &SessionTracker) -> bool {
    let outcomes = tracker.outcomes(&id("acme")).unwrap();
    outcomes.upload_state(&LoggedName::of("e.csv"), at(10)).sessions == WriterState::Ended
}

#[test]
fn a_session_that_changed_files_ends_once() {
    let mut tracker = tracker();
    of_process(&mut tracker, 7, &[SESSION, OPEN, CLOSE]);
    assert!(!has_ended(&tracker) && tracker.drain_ended().is_empty());
    of_process(&mut tracker, 8, &[SESSION, END]);
    assert!(tracker.drain_ended().is_empty(), "session 8 changed no file");
    of_process(&mut tracker, 7, &[END]);
    assert!(has_ended(&tracker));
    assert_eq!(tracker.drain_ended(), [id("acme")].into());
    assert!(tracker.drain_ended().is_empty());
}

#[test]
fn session_without_start_or_process_is_unknown() {
    for (pid, messages) in [(7, &[OPEN, CLOSE, END][..]), (0, &[SESSION, OPEN, CLOSE, END])] {
        let mut tracker = tracker();
        of_process(&mut tracker, pid, messages);
        assert!(!has_ended(&tracker), "{pid}");
    }
}

/// A killed session logs no end, and its process id is reused by another session.
#[test]
fn a_reused_process_id_is_another_session() {
    let mut tracker = tracker();
    of_process(&mut tracker, 7, &[SESSION, OPEN, CLOSE]);
    of_process(&mut tracker, 7, &[SESSION, END]);
    assert!(!has_ended(&tracker));
}
