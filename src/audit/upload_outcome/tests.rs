//! Tests: every kind of upload, and whether its outcome is in doubt.

use super::*;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

fn name(text: &str) -> Name {
    Name::of(text)
}

/// Every `time` has its own session.
fn by(time: i64, from: Option<&str>) -> By<'_> {
    By { session: Some(SessionId(time.unsigned_abs())), at: at(time), from }
}

/// The log is complete since 1000.
fn facts() -> Facts {
    let mut facts = Facts::default();
    facts.hears_since(at(1000));
    facts
}

/// Stores and loads `facts` as a restart does. The log is complete again since `since`.
fn restarted(mut facts: Facts, since: i64) -> Facts {
    let mut new = Facts::default();
    for (name, fact) in facts.take_changes().names {
        new.remember(name, fact.unwrap());
    }
    new.hears_since(at(since));
    new
}

fn upload(facts: &mut Facts, file: &str, forced: bool, time: i64) {
    let by = by(time, Some("192.0.2.1"));
    facts.opened(&name(file), true, by);
    facts.closed(&name(file), forced, Some((0, 6)), By { at: at(time + 1), ..by });
}

fn is_cut_off(doubt: Option<Doubt>) -> bool {
    matches!(doubt, Some(Doubt::CutOff(_)))
}

#[test]
fn a_forced_close_is_in_doubt_until_a_good_one() {
    let mut facts = facts();
    upload(&mut facts, "e.csv", false, 2000);
    assert_eq!(facts.doubt("e.csv", at(2001)), None);
    upload(&mut facts, "e.csv", true, 3000);
    let Some(Doubt::CutOff(fact)) = facts.doubt("e.csv", at(3001)) else { panic!() };
    assert_eq!((fact.bytes, fact.from.as_deref()), (Some(6), Some("192.0.2.1")));
    upload(&mut facts, "e.csv", false, 4000);
    assert_eq!(facts.doubt("e.csv", at(4001)), None);
}

#[test]
fn reading_a_cut_file_does_not_mend_it() {
    let mut facts = facts();
    upload(&mut facts, "e.csv", true, 2000);
    facts.closed(&name("e.csv"), false, Some((6, 0)), by(2005, None));
    facts.closed(&name("e.csv"), false, Some((0, 0)), by(2005, None));
    assert!(is_cut_off(facts.doubt("e.csv", at(2001))));
    upload(&mut facts, "e.csv", false, 3000);
    facts.closed(&name("e.csv"), true, Some((6, 0)), by(3005, None));
    facts.closed(&name("e.csv"), true, Some((0, 0)), by(3005, None));
    assert_eq!(facts.doubt("e.csv", at(3001)), None, "a reader was cut off, not the writer");
}

#[test]
fn an_empty_file_is_a_file() {
    let mut facts = facts();
    facts.opened(&name("e.csv"), true, by(2000, None));
    assert!(is_cut_off(facts.doubt("e.csv", at(2000))), "the server process was killed");
    facts.closed(&name("e.csv"), false, Some((0, 0)), by(2001, None));
    assert_eq!(facts.doubt("e.csv", at(2001)), None);
    facts.opened(&name("e.csv"), true, by(2002, None));
    facts.closed(&name("e.csv"), true, Some((0, 0)), by(2003, None));
    assert!(is_cut_off(facts.doubt("e.csv", at(2003))));
}

#[test]
fn a_fact_goes_with_its_file() {
    let mut facts = facts();
    upload(&mut facts, "e.csv.part", true, 2000);
    facts.renamed(&name("e.csv.part"), &name("e.csv"), by(2010, None));
    assert!(is_cut_off(facts.doubt("e.csv", at(2010))));
    assert_eq!(facts.get(&name("e.csv.part")), None);
    upload(&mut facts, "t", false, 3000);
    facts.renamed(&name("t"), &name("e.csv"), by(3010, None));
    assert_eq!(facts.doubt("e.csv", at(3010)), None, "a good one was renamed over it");
    upload(&mut facts, "e.csv", true, 4000);
    facts.renamed(&name("nobody knows"), &name("e.csv"), by(4010, None));
    assert!(is_cut_off(facts.doubt("e.csv", at(4010))), "the rename may have failed");
    facts.set(&name("e.csv"), None);
    assert_eq!(facts.doubt("e.csv", at(5000)), None);
}

#[test]
fn what_nobody_heard_is_said_and_nothing_else() {
    let facts = facts();
    assert_eq!(facts.doubt("e.csv", at(999)), Some(Doubt::Unknown));
    assert_eq!(facts.doubt("e.csv", at(1000)), None, "not written by SFTP");
    assert_eq!(Facts::default().doubt("e.csv", at(5000)), Some(Doubt::Unknown));
}

#[test]
fn a_restart_forgets_nothing_and_believes_nothing_that_happened_meanwhile() {
    let mut before = facts();
    upload(&mut before, "good.csv", false, 2000);
    upload(&mut before, "cut.csv", true, 2000);
    let mut after = restarted(before, 5000);
    assert_eq!(after.doubt("good.csv", at(2001)), None, "unchanged since");
    assert!(is_cut_off(after.doubt("cut.csv", at(2001))));
    assert_eq!(after.doubt("good.csv", at(4000)), Some(Doubt::Unknown), "changed while down");
    // The log has its last change, but not the changes before.
    after.touched(&name("good.csv"), by(6000, None));
    assert_eq!(after.doubt("good.csv", at(6000)), Some(Doubt::Unknown));
    after.renamed(&name("cut.csv"), &name("c"), by(6000, None));
    assert!(is_cut_off(after.doubt("c", at(6000))));
    upload(&mut after, "good.csv", false, 7000);
    assert_eq!(after.doubt("good.csv", at(7001)), None);
    // Opened before the restart and closed without a write: it may have been a writer's handle.
    after.closed(&name("late.csv"), true, Some((0, 0)), by(8000, None));
    assert!(is_cut_off(after.doubt("late.csv", at(8000))));
}

#[test]
fn a_time_set_after_the_close_casts_no_doubt() {
    let mut facts = facts();
    upload(&mut facts, "e.csv", false, 2000);
    facts.touched(&name("e.csv"), by(2500, None));
    assert_eq!(facts.doubt("e.csv", at(2500)), None);
    assert_eq!(restarted(facts, 9000).doubt("e.csv", at(2500)), None);
}

#[test]
fn a_cut_name_stands_for_all_that_it_may_be() {
    let mut facts = facts();
    let long = format!("{}.csv", "é".repeat(120));
    let whole = super::super::logged_name::encoded(&long);
    let cut = Name { text: whole[..400].to_owned(), cut: true };
    facts.opened(&cut, true, by(2000, None));
    facts.closed(&cut, false, None, by(2001, None));
    assert_eq!(facts.doubt(&whole, at(2001)), None);
    facts.opened(&cut, true, by(2000, None));
    facts.closed(&cut, true, None, by(2001, None));
    facts.opened(&cut, true, by(2000, None));
    facts.closed(&cut, false, None, by(2001, None));
    assert!(is_cut_off(facts.doubt(&whole, at(2001))), "the good one may be another file");
    facts.renamed(&Name { text: whole.clone(), cut: false }, &name("e.csv"), by(2002, None));
    assert!(is_cut_off(facts.doubt("e.csv", at(2002))));
}

#[test]
fn memory_is_bounded_and_what_is_forgotten_is_in_doubt() {
    let mut facts = facts();
    for n in 0..=MOST {
        upload(&mut facts, &n.to_string(), true, 2000);
    }
    assert!(facts.known.len() < 10);
    assert_eq!(facts.doubt("5", at(2001)), Some(Doubt::Unknown));
    let changes = facts.take_changes();
    assert!(changes.cleared && changes.names.len() < 10);
    assert_eq!(facts.take_changes(), Changes::default());
    facts.put_back(changes);
    assert!(facts.take_changes().cleared);
}

/// Returns the state of `e.csv`, last changed at `ctime`.
fn sessions(facts: &Facts, ctime: i64) -> Sessions {
    facts.upload(&name("e.csv"), at(ctime)).sessions
}

#[test]
fn an_uploader_is_done_when_every_session_has_ended() {
    let mut facts = facts();
    upload(&mut facts, "e.csv", false, 2000);
    assert_eq!(sessions(&facts, 2001), Sessions::Unknown);
    facts.touched(&name("e.csv"), by(2100, None)); // another session sets its time
    assert!(facts.session_ended(SessionId(2000), at(2200)));
    assert_eq!(sessions(&facts, 2100), Sessions::Unknown);
    assert!(facts.session_ended(SessionId(2100), at(2300)));
    assert!(!facts.session_ended(SessionId(2100), at(2300)), "once");
    assert_eq!(sessions(&facts, 2100), Sessions::Ended);
    assert_eq!(sessions(&facts, 2301), Sessions::Unknown, "changed by somebody else since");
    assert_eq!(sessions(&restarted(facts, 5000), 2100), Sessions::Unknown);
}

#[test]
fn a_session_that_is_not_known_is_never_known_to_have_ended() {
    let unknown = By { session: None, ..by(2000, None) };
    let mut facts = facts();
    facts.opened(&name("e.csv"), true, unknown);
    facts.closed(&name("e.csv"), false, Some((0, 6)), unknown);
    assert_eq!(sessions(&facts, 2000), Sessions::Unknown);
    // The writers before an open without truncation are unknown too.
    facts.set(&name("e.csv"), None);
    facts.opened(&name("e.csv"), false, by(3000, None));
    facts.closed(&name("e.csv"), false, Some((0, 6)), by(3000, None));
    facts.session_ended(SessionId(3000), at(3001));
    assert_eq!(sessions(&facts, 3000), Sessions::Unknown);
    upload(&mut facts, "e.csv", false, 4000);
    facts.session_ended(SessionId(4000), at(4001));
    assert_eq!(sessions(&facts, 4001), Sessions::Ended);
    // So are those of an unknown file that is renamed over it.
    facts.renamed(&name("stranger"), &name("e.csv"), by(5000, None));
    facts.session_ended(SessionId(5000), at(5001));
    assert_eq!(sessions(&facts, 5000), Sessions::Unknown);
}

#[test]
fn a_name_takes_its_sessions_with_it() {
    let mut facts = facts();
    upload(&mut facts, "e.csv.filepart", false, 2000);
    facts.renamed(&name("e.csv.filepart"), &name("e.csv"), by(2000, None));
    assert_eq!(sessions(&facts, 2000), Sessions::Unknown);
    facts.session_ended(SessionId(2000), at(2001));
    assert_eq!(sessions(&facts, 2000), Sessions::Ended);
}

#[test]
fn too_many_sessions_are_unknown() {
    let mut facts = facts();
    for time in 2000..2000 + MAX_SESSIONS as i64 + 1 {
        upload(&mut facts, "e.csv", false, time);
    }
    for time in 2000..2000 + MAX_SESSIONS as i64 + 1 {
        facts.session_ended(SessionId(time.unsigned_abs()), at(9000));
    }
    assert_eq!(sessions(&facts, 2000), Sessions::Unknown);
}

#[test]
fn a_cut_upload_is_cut_until_it_is_whole() {
    let mut facts = facts();
    upload(&mut facts, "e.csv", true, 2000);
    assert_eq!(sessions(&facts, 2001), Sessions::Cut);
    assert_eq!(sessions(&restarted(facts.clone(), 5000), 2001), Sessions::Cut);
    facts.opened(&name("e.csv"), false, by(3000, None));
    facts.closed(&name("e.csv"), false, Some((0, 6)), by(3000, None));
    for session in [2000, 3000] {
        facts.session_ended(SessionId(session), at(3001));
    }
    assert_eq!(sessions(&facts, 3000), Sessions::Ended, "resumed");
}

#[test]
fn a_complete_file_is_replaced_and_a_cut_one_is_not() {
    let replaced = |facts: &Facts| facts.upload(&name("e.csv"), at(9000)).replaced_at;
    let mut facts = facts();
    upload(&mut facts, "e.csv", true, 2000);
    upload(&mut facts, "e.csv", false, 3000);
    assert_eq!(replaced(&facts), None, "the first upload was cut");
    upload(&mut facts, "e.csv", true, 4000);
    upload(&mut facts, "e.csv", false, 5000);
    assert_eq!(replaced(&facts), Some(at(4000)));
    upload(&mut facts, "t", false, 6000);
    facts.renamed(&name("t"), &name("e.csv"), by(6001, None));
    assert_eq!(replaced(&facts), Some(at(6001)));
    // After a claim, the next file of that name replaces nothing.
    upload(&mut facts, "e.csv", false, 7000);
    facts.claimed(&name("e.csv"), at(6500));
    assert_eq!(replaced(&facts), None);
    assert_eq!(facts.upload(&name("e.csv"), at(7001)).closed_at, Some(at(7001)));
    facts.claimed(&name("e.csv"), at(7500));
    assert_eq!(facts.get(&name("e.csv")), None);
}
