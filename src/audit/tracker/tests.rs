//! Tests: sessions of several accounts, lines of other users, floods.

use super::*;
use crate::audit::activity_limit::A_MINUTE;
use crate::audit::logged_name::Name;
use crate::audit::upload_outcome::{Doubt, Sessions};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn id(text: &str) -> AccountId {
    text.parse().unwrap()
}

/// Tracks `acme` as 70000 and `other` as 70001. The log is complete.
fn ledger() -> Ledger {
    let mut ledger = Ledger::new(70_000..=79_999);
    ledger.follow([(70_000, id("acme")), (70_001, id("other"))].into_iter());
    for account in ["acme", "other"] {
        ledger.facts(&id(account)).hears_since(at(0));
    }
    ledger
}

fn heard(uid: u32, message: &str) -> Heard {
    let bytes = format!("<38>Nov 25 18:12:24 internal-sftp[7]: {message}").into_bytes();
    Heard { uid, pid: 7, at: at(10), bytes }
}

fn say(ledger: &mut Ledger, uid: u32, messages: &[&str]) {
    messages.iter().for_each(|message| ledger.hear(heard(uid, message)));
}

fn doubt(ledger: &mut Ledger, account: &str, name: &str) -> Option<Doubt> {
    ledger.facts(&id(account)).doubt(name, at(11))
}

fn actions(ledger: &mut Ledger, account: &str) -> Vec<String> {
    let pages = ledger.take_pages(at(10));
    let page = pages.into_iter().find(|page| page.account == id(account));
    let lines = page.map(|page| page.lines).unwrap_or_default();
    lines.into_iter().map(|line| format!("{} {}", line.action, line.detail)).collect()
}

const OPEN: &str = "open \"/incoming/e.csv\" flags WRITE,CREATE,TRUNCATE mode 0644";
const CUT: &str = "forced close \"/incoming/e.csv\" bytes read 0 written 6";
const CLOSE: &str = "close \"/incoming/e.csv\" bytes read 0 written 6";
const SESSION: &str = "session opened for local user acme from [192.0.2.7]";

#[test]
fn a_session_is_shown_and_what_it_cut_off_is_known() {
    let mut ledger = ledger();
    let end = "session closed for local user acme from [192.0.2.7]";
    say(&mut ledger, 70_000, &[SESSION, OPEN, CUT, end]);
    let Some(Doubt::CutOff(fact)) = doubt(&mut ledger, "acme", "e.csv") else { panic!() };
    assert_eq!(fact.from.as_deref(), Some("192.0.2.7"));
    assert_eq!(doubt(&mut ledger, "other", "e.csv"), None);
    assert_eq!(
        actions(&mut ledger, "acme"),
        [
            "session.opened 192.0.2.7",
            "file.opened /incoming/e.csv to write",
            "file.cut_off /incoming/e.csv: 6 bytes written, 0 read",
            "session.closed 192.0.2.7",
        ]
    );
    assert!(ledger.sessions.is_empty());
}

#[test]
fn a_line_is_its_senders_whatever_it_says() {
    let mut ledger = ledger();
    say(&mut ledger, 1000, &[OPEN, CUT]);
    say(&mut ledger, 0, &[OPEN, CUT]);
    assert!(ledger.take_pages(at(10)).is_empty() && ledger.held.is_empty());
    say(&mut ledger, 70_001, &["session opened for local user acme from [192.0.2.7]", OPEN, CUT]);
    assert_eq!(doubt(&mut ledger, "acme", "e.csv"), None);
    assert!(doubt(&mut ledger, "other", "e.csv").is_some());
}

#[test]
fn lines_are_held_for_ids_of_the_range_alone() {
    for (uid, held) in [(69_999, 0), (70_000, 1), (79_999, 1), (80_000, 0)] {
        let mut ledger = Ledger::new(70_000..=79_999);
        say(&mut ledger, uid, &[OPEN]);
        assert_eq!(ledger.held.len(), held, "{uid}");
    }
}

#[test]
fn an_account_that_is_just_being_made_is_waited_for() {
    let mut ledger = ledger();
    say(&mut ledger, 70_002, &[OPEN, CUT]);
    say(&mut ledger, 70_003, &vec![OPEN; 2 * MOST_HELD]);
    assert_eq!(ledger.held.len(), MOST_HELD);
    say(&mut ledger, 70_002, &[OPEN, CUT]);
    ledger.follow([(70_002, id("new"))].into_iter());
    ledger.facts(&id("new")).hears_since(at(0));
    assert!(doubt(&mut ledger, "new", "e.csv").is_some());
    assert!(ledger.held.is_empty() && !ledger.parts.contains_key(&id("acme")));
}

#[test]
fn what_failed_has_changed_nothing() {
    let mut ledger = ledger();
    let rename = |new: &str| format!("rename old \"e.csv\" new \"{new}\"");
    let failed = "sent status Failure";
    say(&mut ledger, 70_000, &[OPEN, CUT, &rename("nosuch/x"), "sent status No such file"]);
    assert!(doubt(&mut ledger, "acme", "e.csv").is_some());
    say(&mut ledger, 70_000, &["remove name \"e.csv\"", failed]);
    assert!(doubt(&mut ledger, "acme", "e.csv").is_some());
    let good = [OPEN.replace("e.csv", "g.csv"), CLOSE.replace("e.csv", "g.csv")];
    say(&mut ledger, 70_000, &[&good[0], &good[1], "rename old \"g.csv\" new \"e.csv\"", failed]);
    assert!(doubt(&mut ledger, "acme", "e.csv").is_some(), "the file was not replaced");
    assert_eq!(doubt(&mut ledger, "acme", "g.csv"), None);
    say(&mut ledger, 70_000, &[&good[0], "sent status Permission denied"]);
    assert_eq!(doubt(&mut ledger, "acme", "g.csv"), None, "it was not opened");
    say(&mut ledger, 70_000, &[&good[0], failed]);
    assert!(doubt(&mut ledger, "acme", "g.csv").is_some(), "a full disk");
}

const DENIED: &str = "sent status Permission denied";
const MISSING: &str = "sent status No such file";

#[track_caller]
fn shows(messages: &[&str], expected: &[&str]) {
    let mut ledger = ledger();
    say(&mut ledger, 70_000, messages);
    let mut lines = actions(&mut ledger, "acme");
    for page in ledger.take_pages(at(11)) {
        lines.extend(page.lines.iter().map(|line| format!("{} {}", line.action, line.detail)));
    }
    assert_eq!(lines, expected, "{messages:?}");
}

/// Lines as OpenSSH 9.2 logged them.
#[test]
fn what_the_server_refused_is_shown_as_refused() {
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
            "file.open_refused /results/x.csv to write: Permission denied",
            "file.rename_refused \"/incoming/a b.csv\" to /results/z.csv: Permission denied",
        ],
    );
}

#[test]
fn a_failure_that_may_be_another_requests_is_shown_as_unconfirmed() {
    let whose = "answered to this or to a later request that is not logged";
    shows(
        &["remove name \"nosuch.csv\"", MISSING],
        &[&format!("file.remove_unconfirmed nosuch.csv: No such file, {whose}")],
    );
    shows(
        &["open \"/results/x.csv\" flags READ mode 0666", MISSING],
        &[&format!("file.open_unconfirmed /results/x.csv to read: No such file, {whose}")],
    );
}

#[test]
fn a_failure_of_another_request_changes_no_line() {
    // The file exists, so the status belongs to a request for another file.
    let rename = "posix-rename old \"e.csv\" new \"f.csv\"";
    shows(
        &[OPEN, CLOSE, rename, MISSING, "remove name \"f.csv\"", MISSING],
        &[
            "file.opened /incoming/e.csv to write",
            "file.closed /incoming/e.csv: 6 bytes written, 0 read",
            "file.renamed e.csv to f.csv",
            "file.removed f.csv",
        ],
    );
    shows(&[OPEN, MISSING], &["file.opened /incoming/e.csv to write"]);
    // The log has the other request.
    for other in ["stat name \"nosuch\"", "Refusing denylisted mkdir request", "mkdir name \"d\""] {
        shows(&["remove name \"x.csv\"", other, DENIED], &["file.removed x.csv"]);
    }
}

#[test]
fn a_name_with_quotes_is_shown_whole_or_as_not_known() {
    shows(
        &["remove name \"/results/a\"b.csv\"", DENIED],
        &["file.remove_refused \"/results/a\\\"b.csv\": Permission denied"],
    );
    let end = "session closed for local user acme from [192.0.2.7]";
    shows(
        &["rename old \"x\" new \"y\" new \"z\"", end],
        &[
            "file.renamed old \"x\" new \"y\" new \"z\", where the old name ends is not known",
            "session.closed ",
        ],
    );
    let long = format!("remove name \"{}\"", "x".repeat(600));
    let mut ledger = ledger();
    say(&mut ledger, 70_000, &[&long[..500], end]);
    let lines = actions(&mut ledger, "acme");
    assert!(lines[0].ends_with("xxx… (cut off in the log)"), "{lines:?}");
}

fn upload(ledger: &Ledger, name: &str) -> crate::audit::Upload {
    ledger.facts_of(&id("acme")).unwrap().upload(&Name::of(name), at(10))
}

/// A refused request doesn't change an outcome. A request that may have been refused makes it
/// worse.
#[test]
fn what_was_refused_changes_no_fact() {
    let g = [OPEN.replace("e.csv", "g.csv"), CLOSE.replace("e.csv", "g.csv")];
    let before = |ledger: &mut Ledger| {
        of_process(ledger, 7, &[SESSION, OPEN, CLOSE, &g[0], &g[1], END]);
        upload(ledger, "e.csv")
    };
    for refused in [
        ["remove name \"/results/e.csv\"", DENIED],
        ["rename old \"e.csv\" new \"/results/e.csv\"", DENIED],
        ["rename old \"g.csv\" new \"e.csv\"", "sent status Failure"],
    ] {
        let mut ledger = ledger();
        let known = before(&mut ledger);
        assert_eq!(known.sessions, Sessions::Ended);
        of_process(&mut ledger, 8, &[SESSION, refused[0], refused[1]]);
        assert_eq!(upload(&ledger, "e.csv"), known, "{refused:?}");
    }
    // Requests that may have succeeded make it worse.
    for unsure in [
        ["posix-rename old \"g.csv\" new \"e.csv\"", DENIED],
        ["remove name \"e.csv\"", DENIED],
        [OPEN, DENIED],
        ["posix-rename old \"e.csv\" new \"g.csv\"", "sent status Failure"],
    ] {
        let mut ledger = ledger();
        before(&mut ledger);
        of_process(&mut ledger, 8, &[SESSION, unsure[0], unsure[1]]);
        assert_eq!(upload(&ledger, "e.csv").sessions, Sessions::Unknown, "{unsure:?}");
        assert_eq!(doubt(&mut ledger, "acme", "e.csv"), None, "{unsure:?}");
    }
}

/// Another session opens the file between a request and its refusal.
#[test]
fn a_refusal_undoes_nothing_of_another_session() {
    let mut ledger = ledger();
    of_process(&mut ledger, 7, &[SESSION, OPEN, CLOSE]);
    of_process(&mut ledger, 8, &[SESSION, "rename old \"e.csv\" new \"/results/e.csv\""]);
    of_process(&mut ledger, 7, &[OPEN]);
    of_process(&mut ledger, 8, &[DENIED]);
    assert!(doubt(&mut ledger, "acme", "e.csv").is_some(), "it is open");
}

#[test]
fn renames_and_removals() {
    let mut ledger = ledger();
    say(&mut ledger, 70_000, &[OPEN, CUT, "posix-rename old \"e.csv\" new \"/incoming/f.csv\""]);
    assert!(doubt(&mut ledger, "acme", "f.csv").is_some());
    assert_eq!(doubt(&mut ledger, "acme", "e.csv"), None);
    say(&mut ledger, 70_000, &["remove name \"f.csv\""]);
    assert_eq!(doubt(&mut ledger, "acme", "f.csv"), None);
    // Quotes make the line ambiguous. A known name decides; otherwise everything is in doubt.
    let tricky = OPEN.replace("e.csv", "a\" new \"b");
    let cut = CUT.replace("e.csv", "a\" new \"b");
    say(&mut ledger, 70_000, &[&tricky, &cut, "rename old \"a\" new \"b\" new \"c\""]);
    assert!(matches!(doubt(&mut ledger, "acme", "c"), Some(Doubt::CutOff(_))));
    say(&mut ledger, 70_000, &["rename old \"x\" new \"y\" new \"z\""]);
    let soon = at(10).checked_add(jiff::SignedDuration::from_millis(50)).unwrap();
    assert_eq!(ledger.facts(&id("acme")).doubt("z", soon), Some(Doubt::Unknown));
}

#[test]
fn a_flood_costs_little_and_hides_nothing() {
    let mut ledger = ledger();
    for n in 0..50_000 {
        let file = format!("{}.csv", n % 500);
        say(&mut ledger, 70_000, &[&OPEN.replace("e.csv", &file), &CLOSE.replace("e.csv", &file)]);
    }
    say(&mut ledger, 70_000, &[OPEN, CUT]);
    assert!(doubt(&mut ledger, "acme", "e.csv").is_some());
    let pages = ledger.take_pages(at(20));
    let [page] = &pages[..] else { panic!() };
    assert_eq!((page.lines.len(), page.changes.names.len()), (A_MINUTE as usize, 501));
    ledger.put_back(pages);
    assert_eq!(ledger.take_pages(at(21))[0].changes.names.len(), 501);
    let later = ledger.take_pages(at(70));
    assert_eq!(later[0].lines[0].action, "audit.left_out");
}

#[test]
fn a_login_that_is_read_again_is_the_same() {
    let mut ledger = ledger();
    let login = |second, from: &str| Login {
        at: at(second),
        account: id("acme"),
        from: from.into(),
        algorithm: "ED25519".into(),
        fingerprint: "SHA256:a".into(),
    };
    ledger.remember_use(&id("acme"), "SHA256:a".into(), Use { at: at(5), from: "::1".into() });
    for (second, from) in [(4, "a"), (5, "b"), (6, "192.0.2.7"), (6, "c")] {
        ledger.logged_in(login(second, from));
    }
    ledger.logged_in(Login { account: id("nobody"), ..login(9, "d") });
    let pages = ledger.take_pages(at(10));
    let [page] = &pages[..] else { panic!("{pages:?}") };
    assert_eq!(page.lines.len(), 1);
    assert_eq!(page.lines[0].detail, "ED25519 SHA256:a from 192.0.2.7");
    assert_eq!(page.uses, [("SHA256:a".into(), Use { at: at(6), from: "192.0.2.7".into() })]);
    ledger.put_back(pages);
    assert_eq!(ledger.take_pages(at(10))[0].uses.len(), 1);
}

#[test]
fn an_account_that_nothing_is_heard_of_is_not_looked_at() {
    let mut ledger = ledger();
    ledger.take_pages(at(10));
    assert_eq!(ledger.stirred.len(), 0);
    for _ in 0..2 * A_MINUTE {
        say(&mut ledger, 70_000, &[SESSION]);
    }
    let pages = ledger.take_pages(at(10));
    assert_eq!((pages.len(), ledger.stirred.len()), (1, 1), "a count of left-out lines is due");
    ledger.take_pages(at(70));
    assert_eq!(ledger.stirred.len(), 0);
    ledger.put_back(pages);
    assert_eq!(ledger.take_pages(at(71)).len(), 1, "what could not be stored is requeued");
}

/// Processes lines of the session with process id `pid`.
fn of_process(ledger: &mut Ledger, pid: i32, messages: &[&str]) {
    for message in messages {
        ledger.hear(Heard { pid, ..heard(70_000, message) });
    }
}

const END: &str = "session closed for local user acme from [192.0.2.7]";

fn has_ended(ledger: &Ledger) -> bool {
    let facts = ledger.facts_of(&id("acme")).unwrap();
    facts.upload(&Name::of("e.csv"), at(10)).sessions == Sessions::Ended
}

#[test]
fn a_session_that_changed_files_ends_once() {
    let mut ledger = ledger();
    of_process(&mut ledger, 7, &[SESSION, OPEN, CLOSE]);
    assert!(!has_ended(&ledger) && ledger.take_ended().is_empty());
    of_process(&mut ledger, 8, &[SESSION, END]);
    assert!(ledger.take_ended().is_empty(), "it changed nothing");
    of_process(&mut ledger, 7, &[END]);
    assert!(has_ended(&ledger));
    assert_eq!(ledger.take_ended(), [id("acme")].into());
    assert!(ledger.take_ended().is_empty());
}

#[test]
fn a_session_without_begin_or_process_is_unknown() {
    for (pid, messages) in [(7, &[OPEN, CLOSE, END][..]), (0, &[SESSION, OPEN, CLOSE, END])] {
        let mut ledger = ledger();
        of_process(&mut ledger, pid, messages);
        assert!(!has_ended(&ledger), "{pid}");
    }
}

/// A killed session logs no end, and its process id is reused by another session.
#[test]
fn a_process_id_that_comes_again_is_another_session() {
    let mut ledger = ledger();
    of_process(&mut ledger, 7, &[SESSION, OPEN, CLOSE]);
    of_process(&mut ledger, 7, &[SESSION, END]);
    assert!(!has_ended(&ledger));
}
