//! Tests of the hourly limits: an account holder who names a stranger in a thousand manifests.
//! The stranger gets a limited number of mails per hour, and no notification is lost.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::bench::{Bench, client, header};
use crate::outbox::{Courier, Milestone, Recipients};
use crate::state::deliveries;

const HOUR: Duration = Duration::from_secs(3600);

/// Attempts the due deliveries, as the relay does, `hours` from now.
fn relay(bench: &Bench, courier: &Courier, hours: u32) {
    let at = Timestamp::now() + SignedDuration::try_from(HOUR * hours).unwrap();
    let began = Instant::now() + HOUR * hours;
    for _ in 0..1000 {
        let due = bench.state.read(|tx| deliveries::list_due(tx, at)).unwrap();
        let Some(first) = due.first() else { return };
        courier.attempt_at(first.id, at, began).unwrap();
    }
    panic!("deliveries are always due");
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

fn begins_and_ends(bench: &Bench, imports: std::ops::RangeInclusive<i64>, to: &Recipients) {
    for n in imports {
        bench.enqueue("acme", n, Milestone::PickedUp, to);
        bench.enqueue("acme", n, Milestone::Completed, to);
    }
}

#[test]
fn an_address_gets_so_many_mails_an_hour_and_then_all_in_one() {
    let mut bench = Bench::new();
    let _smtp = bench.smtp(&[]);
    bench.config.mail.max_hourly_to_address = 3;
    let courier = bench.courier();
    begins_and_ends(&bench, 1..=20, &client());
    bench.enqueue("acme", 21, Milestone::PickedUp, &client());
    bench.account("other");
    bench.enqueue("other", 22, Milestone::Completed, &client());
    let elsewhere = Recipients { client_email: Some("b@acme.example".into()), ..client() };
    bench.enqueue("acme", 23, Milestone::Completed, &elsewhere);
    relay(&bench, &courier, 0);
    assert_eq!(bench.mails().len(), 4, "three, and the one to another address");
    assert_eq!((pending(&bench), held(&bench)), (39, 1), "two accounts wait, logged once");

    // A mail of another account to this address is never merged with others.
    relay(&bench, &courier, 1);
    let mails = bench.mails();
    assert_eq!(mails.len(), 7, "three more");
    let subjects: Vec<_> = mails[4..].iter().map(|mail| header(mail, "Subject")).collect();
    assert!(mails.iter().any(|m| m.contains("19 of your imports have ended.")), "{subjects:?}");
    assert!(subjects.iter().any(|subject| subject.contains("sftp1-22")), "{subjects:?}");
    assert!(subjects.iter().any(|subject| subject.contains("sftp1-21")), "{subjects:?}");
    assert_eq!((pending(&bench), held(&bench)), (0, 1), "nothing is lost");
    assert_eq!(bench.deliveries().len(), 43);
    relay(&bench, &courier, 9);
    assert_eq!(bench.mails().len(), 7, "nothing is sent twice");
}

#[test]
fn an_account_writes_so_many_mails_an_hour_to_strangers() {
    let mut bench = Bench::new();
    let _smtp = bench.smtp(&[]);
    bench.config.mail.max_hourly_of_account = 4;
    let courier = bench.courier();
    for n in 1..=10 {
        let stranger =
            Recipients { client_email: Some(format!("victim+{n}@x.example")), ..client() };
        bench.enqueue("acme", n, Milestone::Completed, &stranger);
    }
    bench.account("other");
    bench.enqueue("other", 11, Milestone::Completed, &client());
    relay(&bench, &courier, 0);
    assert_eq!((bench.mails().len(), pending(&bench), held(&bench)), (5, 6, 1));
    relay(&bench, &courier, 1);
    assert_eq!((bench.mails().len(), pending(&bench)), (9, 2));
    relay(&bench, &courier, 2);
    assert_eq!((bench.mails().len(), pending(&bench)), (11, 0));
}

#[test]
fn mails_that_the_server_does_not_take_do_not_count() {
    let mut bench = Bench::new();
    bench.config.mail.max_hourly_to_address = 1;
    begins_and_ends(&bench, 1..=1, &client());
    let courier = bench.courier(); // nobody listens
    relay(&bench, &courier, 0);
    assert_eq!((held(&bench), pending(&bench)), (0, 2));
    assert!(bench.deliveries().iter().all(|delivery| delivery.attempts == 1));
}
