//! Tests of due deliveries, and of the state of a delivery after an attempt.

use jiff::Timestamp;

use super::*;
use crate::state::{Error, Result, State, Transaction};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn milestone(tx: &Transaction<'_>, n: i64, account: &str) -> MilestoneRow {
    let milestone = MilestoneRow {
        id: format!("msg_{n}"),
        import: Some(format!("sftp1-{n}")),
        account: account.to_owned(),
        kind: "import.completed".into(),
        at: at(n),
        body: "{}".into(),
    };
    assert!(add_milestone(tx, &milestone).unwrap());
    milestone
}

fn due_ids(tx: &Transaction<'_>, now: i64) -> Vec<i64> {
    list_due(tx, at(now)).unwrap().into_iter().map(|due| due.id).collect()
}

#[test]
fn the_oldest_delivery_of_every_lane_is_due() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(&folder.path().join("state.db")).unwrap();
    let done = Attempt { at: at(9), took_ms: 1, outcome: "250".into() };
    state
        .write(|tx| {
            assert_eq!((due_ids(tx, 99), next_due(tx, at(0))?), (vec![], None));
            let [a, b, c] = [(1, "acme"), (2, "other"), (3, "acme")]
                .map(|(n, account)| milestone(tx, n, account));
            add(tx, &b, Channel::Email, "data@x")?; // 1
            add(tx, &a, Channel::Email, "DATA@x")?; // 2: an older delivery in the same lane
            add(tx, &c, Channel::Webhook, "crm")?; // 3
            add(tx, &b, Channel::Webhook, "crm")?; // 4: the endpoint crm of another account
            add(tx, &a, Channel::Webhook, "crm")?; // 5
            assert_eq!(due_ids(tx, 1), [2, 5]);
            assert_eq!(next_due(tx, at(1))?, Some(at(2)));
            assert_eq!(due_ids(tx, 3), [2, 5, 4]);
            record_attempt(tx, 2, &done, AttemptResult::Delivered)?;
            record_attempt(tx, 5, &done, AttemptResult::Retry(at(60)))?;
            assert_eq!(due_ids(tx, 3), [1, 4, 3]);
            assert_eq!(fail_pending(tx, at(9), "acme", "crm", "gone")?, 2);
            assert_eq!(due_ids(tx, 99), [1, 4]);
            Ok::<_, Error>(())
        })
        .unwrap();
}

#[test]
fn a_late_attempt_does_not_change_its_delivery() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(&folder.path().join("state.db")).unwrap();
    let late = Attempt { at: at(9), took_ms: 1, outcome: "200".into() };
    state
        .write(|tx| {
            add(tx, &milestone(tx, 1, "acme"), Channel::Webhook, "crm")?;
            fail_pending(tx, at(5), "acme", "crm", "the endpoint was removed")?;
            record_attempt(tx, 1, &late, AttemptResult::Delivered)?;
            assert_eq!(find(tx, 1)?.map(|d| (d.state, d.attempts)), Some(("failed".into(), 0)));
            assert_eq!(list_attempts(tx, 1)?, std::slice::from_ref(&late));
            assert!(find_task(tx, 1)?.is_none());
            assert!(retry(tx, 1, at(20))? && find_task(tx, 1)?.is_some());
            assert!(!retry(tx, 2, at(20))?);
            Ok::<_, Error>(())
        })
        .unwrap();
}

#[test]
fn deliveries_scheduled_too_late_become_due() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(&folder.path().join("state.db")).unwrap();
    let failed = Attempt { at: at(9), took_ms: 1, outcome: "503".into() };
    state
        .write(|tx| {
            for (n, after) in [
                (1, AttemptResult::Retry(at(99))),
                (2, AttemptResult::Retry(at(100))),
                (3, AttemptResult::Retry(at(101))),
                (4, AttemptResult::Failed),
            ] {
                add(tx, &milestone(tx, n, "acme"), Channel::Webhook, &format!("crm{n}"))?;
                record_attempt(tx, n, &failed, after)?;
            }
            make_due(tx, at(10), at(100))?;
            let next = |id| Ok(find(tx, id)?.and_then(|delivery| delivery.next_attempt_at));
            let next = (1..=4).map(next).collect::<Result<Vec<_>>>()?;
            assert_eq!(next, [Some(at(99)), Some(at(100)), Some(at(10)), None]);
            assert_eq!(due_ids(tx, 10), [3]);
            Ok::<_, Error>(())
        })
        .unwrap();
}
