//! Tests of the outcomes of all kinds of uploads, and of the doubt about them.

use super::*;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

fn name(text: &str) -> LoggedName {
    LoggedName::of(text)
}

/// Returns the origin of a request at `time`. Requests at different times are of different
/// sessions.
fn by(time: i64, from: Option<&str>) -> RequestOrigin<'_> {
    RequestOrigin { session: Some(SessionId(time.unsigned_abs())), at: at(time), from }
}

/// Returns outcomes whose log is complete since 1000 ms.
fn outcomes() -> UploadOutcomes {
    let mut outcomes = UploadOutcomes::default();
    outcomes.set_complete_since(at(1000));
    outcomes
}

/// Stores and loads `outcomes` as a restart does. The log is complete again since `since` (in ms).
fn restarted(mut outcomes: UploadOutcomes, since: i64) -> UploadOutcomes {
    let mut new = UploadOutcomes::default();
    for (name, outcome) in outcomes.drain_changes().names {
        new.load(name, outcome.unwrap());
    }
    new.set_complete_since(at(since));
    new
}

fn upload(outcomes: &mut UploadOutcomes, file: &str, forced: bool, time: i64) {
    let by = by(time, Some("192.0.2.1"));
    outcomes.record_open(&name(file), true, by);
    outcomes.record_close(
        &name(file),
        forced,
        Some((0, 6)),
        RequestOrigin { at: at(time + 1), ..by },
    );
}

fn is_cut_off(doubt: Option<Doubt>) -> bool {
    matches!(doubt, Some(Doubt::CutOff(_)))
}

#[test]
fn a_forced_close_is_uncertain_until_complete_upload() {
    let mut outcomes = outcomes();
    upload(&mut outcomes, "e.csv", false, 2000);
    assert_eq!(outcomes.doubt("e.csv", at(2001)), None);
    upload(&mut outcomes, "e.csv", true, 3000);
    let Some(Doubt::CutOff(outcome)) = outcomes.doubt("e.csv", at(3001)) else { panic!() };
    assert_eq!((outcome.bytes, outcome.from.as_deref()), (Some(6), Some("192.0.2.1")));
    upload(&mut outcomes, "e.csv", false, 4000);
    assert_eq!(outcomes.doubt("e.csv", at(4001)), None);
}

#[test]
fn reading_a_truncated_file_changes_nothing() {
    let mut outcomes = outcomes();
    upload(&mut outcomes, "e.csv", true, 2000);
    outcomes.record_close(&name("e.csv"), false, Some((6, 0)), by(2005, None));
    outcomes.record_close(&name("e.csv"), false, Some((0, 0)), by(2005, None));
    assert!(is_cut_off(outcomes.doubt("e.csv", at(2001))));
    upload(&mut outcomes, "e.csv", false, 3000);
    outcomes.record_close(&name("e.csv"), true, Some((6, 0)), by(3005, None));
    outcomes.record_close(&name("e.csv"), true, Some((0, 0)), by(3005, None));
    assert_eq!(outcomes.doubt("e.csv", at(3001)), None, "a reader was cut off, not the writer");
}

#[test]
fn empty_upload_has_an_outcome() {
    let mut outcomes = outcomes();
    outcomes.record_open(&name("e.csv"), true, by(2000, None));
    assert!(is_cut_off(outcomes.doubt("e.csv", at(2000))), "the server process was killed");
    outcomes.record_close(&name("e.csv"), false, Some((0, 0)), by(2001, None));
    assert_eq!(outcomes.doubt("e.csv", at(2001)), None);
    outcomes.record_open(&name("e.csv"), true, by(2002, None));
    outcomes.record_close(&name("e.csv"), true, Some((0, 0)), by(2003, None));
    assert!(is_cut_off(outcomes.doubt("e.csv", at(2003))));
}

#[test]
fn a_renamed_file_keeps_its_upload_outcome() {
    let mut outcomes = outcomes();
    upload(&mut outcomes, "e.csv.part", true, 2000);
    outcomes.record_rename(&name("e.csv.part"), &name("e.csv"), by(2010, None));
    assert!(is_cut_off(outcomes.doubt("e.csv", at(2010))));
    assert_eq!(outcomes.get(&name("e.csv.part")), None);
    upload(&mut outcomes, "t", false, 3000);
    outcomes.record_rename(&name("t"), &name("e.csv"), by(3010, None));
    assert_eq!(outcomes.doubt("e.csv", at(3010)), None, "a complete file was renamed over it");
    upload(&mut outcomes, "e.csv", true, 4000);
    outcomes.record_rename(&name("nobody knows"), &name("e.csv"), by(4010, None));
    assert!(is_cut_off(outcomes.doubt("e.csv", at(4010))), "the rename may have failed");
    outcomes.set(&name("e.csv"), None);
    assert_eq!(outcomes.doubt("e.csv", at(5000)), None);
}

#[test]
fn a_file_before_the_complete_log_is_uncertain() {
    let outcomes = outcomes();
    assert_eq!(outcomes.doubt("e.csv", at(999)), Some(Doubt::Unknown));
    assert_eq!(outcomes.doubt("e.csv", at(1000)), None, "not written by SFTP");
    assert_eq!(UploadOutcomes::default().doubt("e.csv", at(5000)), Some(Doubt::Unknown));
}

#[test]
fn files_changed_during_downtime_are_uncertain() {
    let mut before = outcomes();
    upload(&mut before, "good.csv", false, 2000);
    upload(&mut before, "cut.csv", true, 2000);
    let mut after = restarted(before, 5000);
    assert_eq!(after.doubt("good.csv", at(2001)), None, "unchanged since");
    assert!(is_cut_off(after.doubt("cut.csv", at(2001))));
    assert_eq!(after.doubt("good.csv", at(4000)), Some(Doubt::Unknown), "changed while down");
    // The log has the last change of the file, but not the changes before.
    after.record_touch(&name("good.csv"), by(6000, None));
    assert_eq!(after.doubt("good.csv", at(6000)), Some(Doubt::Unknown));
    after.record_rename(&name("cut.csv"), &name("c"), by(6000, None));
    assert!(is_cut_off(after.doubt("c", at(6000))));
    upload(&mut after, "good.csv", false, 7000);
    assert_eq!(after.doubt("good.csv", at(7001)), None);
    // The handle was opened before the restart, and closed without a write. It may have been a
    // writer's.
    after.record_close(&name("late.csv"), true, Some((0, 0)), by(8000, None));
    assert!(is_cut_off(after.doubt("late.csv", at(8000))));
}

#[test]
fn a_time_change_does_not_cause_doubt() {
    let mut outcomes = outcomes();
    upload(&mut outcomes, "e.csv", false, 2000);
    outcomes.record_touch(&name("e.csv"), by(2500, None));
    assert_eq!(outcomes.doubt("e.csv", at(2500)), None);
    assert_eq!(restarted(outcomes, 9000).doubt("e.csv", at(2500)), None);
}

#[test]
fn truncated_name_matches_all_candidates() {
    let mut outcomes = outcomes();
    let long = format!("{}.csv", "é".repeat(120));
    let whole = super::super::logged_name::encode(&long);
    let cut = LoggedName { text: whole[..400].to_owned(), cut: true };
    outcomes.record_open(&cut, true, by(2000, None));
    outcomes.record_close(&cut, false, None, by(2001, None));
    assert_eq!(outcomes.doubt(&whole, at(2001)), None);
    outcomes.record_open(&cut, true, by(2000, None));
    outcomes.record_close(&cut, true, None, by(2001, None));
    outcomes.record_open(&cut, true, by(2000, None));
    outcomes.record_close(&cut, false, None, by(2001, None));
    assert!(
        is_cut_off(outcomes.doubt(&whole, at(2001))),
        "the complete upload may be of another file"
    );
    outcomes.record_rename(
        &LoggedName { text: whole.clone(), cut: false },
        &name("e.csv"),
        by(2002, None),
    );
    assert!(is_cut_off(outcomes.doubt("e.csv", at(2002))));
}

#[test]
fn dropped_upload_outcomes_are_uncertain() {
    let mut outcomes = outcomes();
    for n in 0..=MAX_OUTCOMES {
        upload(&mut outcomes, &n.to_string(), true, 2000);
    }
    assert!(outcomes.known.len() < 10);
    assert_eq!(outcomes.doubt("5", at(2001)), Some(Doubt::Unknown));
    let changes = outcomes.drain_changes();
    assert!(changes.cleared && changes.names.len() < 10);
    assert_eq!(outcomes.drain_changes(), OutcomeChanges::default());
    outcomes.requeue(changes);
    assert!(outcomes.drain_changes().cleared);
}

/// Returns the writer state of `e.csv`, which was last changed at `ctime`.
fn sessions(outcomes: &UploadOutcomes, ctime: i64) -> WriterState {
    outcomes.upload_state(&name("e.csv"), at(ctime)).sessions
}

#[test]
fn upload_is_finished_when_all_sessions_ended() {
    let mut outcomes = outcomes();
    upload(&mut outcomes, "e.csv", false, 2000);
    assert_eq!(sessions(&outcomes, 2001), WriterState::Unknown);
    // Another session sets the file's time.
    outcomes.record_touch(&name("e.csv"), by(2100, None));
    assert!(outcomes.end_session(SessionId(2000), at(2200)));
    assert_eq!(sessions(&outcomes, 2100), WriterState::Unknown);
    assert!(outcomes.end_session(SessionId(2100), at(2300)));
    assert!(!outcomes.end_session(SessionId(2100), at(2300)), "a session ends once");
    assert_eq!(sessions(&outcomes, 2100), WriterState::Ended);
    assert_eq!(
        sessions(&outcomes, 2301),
        WriterState::Unknown,
        "somebody else changed the file later"
    );
    assert_eq!(sessions(&restarted(outcomes, 5000), 2100), WriterState::Unknown);
}

#[test]
fn unknown_session_never_counts_as_ended() {
    let unknown = RequestOrigin { session: None, ..by(2000, None) };
    let mut outcomes = outcomes();
    outcomes.record_open(&name("e.csv"), true, unknown);
    outcomes.record_close(&name("e.csv"), false, Some((0, 6)), unknown);
    assert_eq!(sessions(&outcomes, 2000), WriterState::Unknown);
    // The writers before an opening without truncation are unknown too.
    outcomes.set(&name("e.csv"), None);
    outcomes.record_open(&name("e.csv"), false, by(3000, None));
    outcomes.record_close(&name("e.csv"), false, Some((0, 6)), by(3000, None));
    outcomes.end_session(SessionId(3000), at(3001));
    assert_eq!(sessions(&outcomes, 3000), WriterState::Unknown);
    upload(&mut outcomes, "e.csv", false, 4000);
    outcomes.end_session(SessionId(4000), at(4001));
    assert_eq!(sessions(&outcomes, 4001), WriterState::Ended);
    // The writers of an unknown file that is renamed over it are unknown too.
    outcomes.record_rename(&name("stranger"), &name("e.csv"), by(5000, None));
    outcomes.end_session(SessionId(5000), at(5001));
    assert_eq!(sessions(&outcomes, 5000), WriterState::Unknown);
}

#[test]
fn rename_keeps_the_sessions() {
    let mut outcomes = outcomes();
    upload(&mut outcomes, "e.csv.filepart", false, 2000);
    outcomes.record_rename(&name("e.csv.filepart"), &name("e.csv"), by(2000, None));
    assert_eq!(sessions(&outcomes, 2000), WriterState::Unknown);
    outcomes.end_session(SessionId(2000), at(2001));
    assert_eq!(sessions(&outcomes, 2000), WriterState::Ended);
}

#[test]
fn the_state_of_too_many_sessions_is_unknown() {
    let mut outcomes = outcomes();
    for time in 2000..2000 + MAX_SESSIONS as i64 + 1 {
        upload(&mut outcomes, "e.csv", false, time);
    }
    for time in 2000..2000 + MAX_SESSIONS as i64 + 1 {
        outcomes.end_session(SessionId(time.unsigned_abs()), at(9000));
    }
    assert_eq!(sessions(&outcomes, 2000), WriterState::Unknown);
}

#[test]
fn an_upload_counts_as_interrupted_until_resumed() {
    let mut outcomes = outcomes();
    upload(&mut outcomes, "e.csv", true, 2000);
    assert_eq!(sessions(&outcomes, 2001), WriterState::Cut);
    assert_eq!(sessions(&restarted(outcomes.clone(), 5000), 2001), WriterState::Cut);
    outcomes.record_open(&name("e.csv"), false, by(3000, None));
    outcomes.record_close(&name("e.csv"), false, Some((0, 6)), by(3000, None));
    for session in [2000, 3000] {
        outcomes.end_session(SessionId(session), at(3001));
    }
    assert_eq!(sessions(&outcomes, 3000), WriterState::Ended, "resumed");
}

#[test]
fn only_a_complete_file_is_replaced() {
    let replaced =
        |outcomes: &UploadOutcomes| outcomes.upload_state(&name("e.csv"), at(9000)).replaced_at;
    let mut outcomes = outcomes();
    upload(&mut outcomes, "e.csv", true, 2000);
    upload(&mut outcomes, "e.csv", false, 3000);
    assert_eq!(replaced(&outcomes), None, "the first upload was cut");
    upload(&mut outcomes, "e.csv", true, 4000);
    upload(&mut outcomes, "e.csv", false, 5000);
    assert_eq!(replaced(&outcomes), Some(at(4000)));
    upload(&mut outcomes, "t", false, 6000);
    outcomes.record_rename(&name("t"), &name("e.csv"), by(6001, None));
    assert_eq!(replaced(&outcomes), Some(at(6001)));
    // After a claim, the next file with the same name does not replace a file.
    upload(&mut outcomes, "e.csv", false, 7000);
    outcomes.remove_claimed(&name("e.csv"), at(6500));
    assert_eq!(replaced(&outcomes), None);
    assert_eq!(outcomes.upload_state(&name("e.csv"), at(7001)).closed_at, Some(at(7001)));
    outcomes.remove_claimed(&name("e.csv"), at(7500));
    assert_eq!(outcomes.get(&name("e.csv")), None);
}
