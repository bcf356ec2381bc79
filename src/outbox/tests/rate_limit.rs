//! Tests of the hourly mail limits. An account holder may name a stranger in a thousand manifests:
//! the stranger gets a limited number of mails per hour, and no notification is lost.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::bench::{Bench, client, header};
use crate::outbox::{AttemptRunner, Milestone, Recipients};
use crate::state::deliveries;

const HOUR: Duration = Duration::from_secs(3600);

/// Attempts the deliveries that are due in `hours`, as the relay does.
fn run_due(bench: &Bench, runner: &AttemptRunner, hours: u32) {
    let at = Timestamp::now() + SignedDuration::try_from(HOUR * hours).unwrap();
    let began = Instant::now() + HOUR * hours;
    for _ in 0..1000 {
        let due = bench.state.read(|tx| deliveries::list_due(tx, at)).unwrap();
        let Some(first) = due.first() else { return };
        runner.run_at(first.id, at, began).unwrap();
    }
    panic!("deliveries are still due after 1000 attempts");
}

fn pending(bench: &Bench) -> usize {
    bench.deliveries().iter().filter(|delivery| delivery.state == "pending").count()
}

fn held(bench: &Bench) -> i64 {
    bench.write(|tx| {
        let sql = "SELECT count(*) FROM activity WHERE action = 'mail.held'";
        Ok(tx.query_row(sql, [], |row| row.get(0))?)
    })
}

fn enqueue_begins_and_ends(bench: &Bench, imports: std::ops::RangeInclusive<i64>, to: &Recipients) {
    for n in imports {
        bench.enqueue("acme", n, Milestone::PickedUp, to);
        bench.enqueue("acme", n, Milestone::Completed, to);
    }
}

#[test]
fn mails_over_an_address_limit_are_merged() {
    let mut bench = Bench::new();
    let _smtp = bench.smtp(&[]);
    bench.config.mail.max_hourly_to_address = 3;
    let runner = bench.runner();
    enqueue_begins_and_ends(&bench, 1..=20, &client());
    bench.enqueue("acme", 21, Milestone::PickedUp, &client());
    bench.account("other");
    bench.enqueue("other", 22, Milestone::Completed, &client());
    let elsewhere = Recipients { client_email: Some("b@acme.example".into()), ..client() };
    bench.enqueue("acme", 23, Milestone::Completed, &elsewhere);
    run_due(&bench, &runner, 0);
    assert_eq!(bench.mails().len(), 4, "three mails, and one to another address");
    assert_eq!((pending(&bench), held(&bench)), (39, 1), "two accounts wait, logged once");

    // Mails to the same address that belong to different accounts are never merged.
    run_due(&bench, &runner, 1);
    let mails = bench.mails();
    assert_eq!(mails.len(), 7, "three more mails");
    let subjects: Vec<_> = mails[4..].iter().map(|mail| header(mail, "Subject")).collect();
    assert!(mails.iter().any(|m| m.contains("19 of your imports have ended.")), "{subjects:?}");
    assert!(subjects.iter().any(|subject| subject.contains("sftp1-22")), "{subjects:?}");
    assert!(subjects.iter().any(|subject| subject.contains("sftp1-21")), "{subjects:?}");
    assert_eq!((pending(&bench), held(&bench)), (0, 1), "nothing is lost");
    assert_eq!(bench.deliveries().len(), 43);
    run_due(&bench, &runner, 9);
    assert_eq!(bench.mails().len(), 7, "nothing is sent twice");
}

#[test]
fn mails_over_an_account_limit_are_sent_later() {
    let mut bench = Bench::new();
    let _smtp = bench.smtp(&[]);
    bench.config.mail.max_hourly_of_account = 4;
    let runner = bench.runner();
    for n in 1..=10 {
        let stranger =
            Recipients { client_email: Some(format!("victim+{n}@x.example")), ..client() };
        bench.enqueue("acme", n, Milestone::Completed, &stranger);
    }
    bench.account("other");
    bench.enqueue("other", 11, Milestone::Completed, &client());
    run_due(&bench, &runner, 0);
    assert_eq!((bench.mails().len(), pending(&bench), held(&bench)), (5, 6, 1));
    run_due(&bench, &runner, 1);
    assert_eq!((bench.mails().len(), pending(&bench)), (9, 2));
    run_due(&bench, &runner, 2);
    assert_eq!((bench.mails().len(), pending(&bench)), (11, 0));
}

#[test]
fn undelivered_mails_do_not_count() {
    let mut bench = Bench::new();
    bench.config.mail.max_hourly_to_address = 1;
    enqueue_begins_and_ends(&bench, 1..=1, &client());
    let runner = bench.runner(); // no mail server is running
    run_due(&bench, &runner, 0);
    assert_eq!((held(&bench), pending(&bench)), (0, 2));
    assert!(bench.deliveries().iter().all(|delivery| delivery.attempts == 1));
}
