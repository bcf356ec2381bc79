//! Tests of webhooks to endpoints that fail, hang, redirect, are removed, get an internal address,
//! or change their secret.

use jiff::{SignedDuration, Timestamp};

use super::bench::{Bench, header, webhook, within};
use super::wait_of;
use crate::config::Period;
use crate::outbox::{Milestone, Secret};
use crate::state::{activity, deliveries, endpoints};

#[tokio::test(flavor = "multi_thread")]
async fn failing_endpoints_are_retried_under_the_same_id() {
    let bench = Bench::new();
    let http = bench.http();
    for (account, path) in [("broken", "/500"), ("busy", "/429?retry-after=120"), ("moved", "/302")]
    {
        bench.account(account);
        bench.endpoint(account, &http, path);
        bench.enqueue(account, 1, Milestone::Completed, &webhook());
    }
    // An import belongs to one account. Therefore only the first of three milestones with the same
    // import number is new.
    assert_eq!(bench.deliveries().len(), 1);
    for (n, account) in [(2, "busy"), (3, "moved")] {
        assert!(bench.enqueue(account, n, Milestone::Completed, &webhook()));
    }
    let relay = bench.relay();
    within(10, "three attempts", || bench.deliveries().iter().all(|d| d.attempts == 1)).await;
    let deliveries = bench.deliveries();
    for (delivery, shortest, why) in [
        (&deliveries[0], 5, "500"),
        (&deliveries[1], 120, "429"),
        (&deliveries[2], 5, "redirects to /moved, but redirects are not followed"),
    ] {
        assert_eq!(delivery.state, "pending");
        assert!(wait_of(&bench, delivery) >= shortest, "{delivery:?}");
        assert!(delivery.last_error.as_ref().unwrap().contains(why), "{delivery:?}");
    }
    assert_eq!(bench.requests().len(), 3, "the redirect was followed");

    let busy = deliveries[1].id;
    assert!(bench.write(|tx| deliveries::retry(tx, busy, Timestamp::now())));
    relay.wake.notify_one();
    within(10, "the fourth request", || bench.requests().len() >= 4).await;
    relay.stop().await;
    let ids = bench.requests().into_iter().filter(|r| r["path"] == "/429?retry-after=120");
    let ids: Vec<_> = ids.map(|r| r["headers"]["webhook-id"].clone()).collect();
    assert_eq!(ids, [deliveries[1].message.as_str(), deliveries[1].message.as_str()]);
    let attempts = bench.write(|tx| deliveries::list_attempts(tx, busy));
    assert!(attempts.len() == 2 && attempts[0].outcome.starts_with("429"), "{attempts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_410_disables_the_endpoint() {
    let bench = Bench::new();
    let http = bench.http();
    bench.endpoint("acme", &http, "/410");
    for n in 1..=3 {
        bench.enqueue("acme", n, Milestone::Completed, &webhook());
    }
    let relay = bench.relay();
    within(10, "all given up", || bench.deliveries().iter().all(|d| d.state == "failed")).await;
    relay.stop().await;
    assert_eq!(bench.requests().len(), 1, "nothing is sent after a 410");
    let listed = bench.write(|tx| endpoints::list(tx, None));
    assert!(listed[0].disabled_reason.as_ref().unwrap().starts_with("410 Gone"), "{listed:?}");
    bench.enqueue("acme", 4, Milestone::Completed, &webhook());
    assert_eq!(bench.deliveries().len(), 3);
    let log = bench.state.read(|tx| activity::recent(tx, None, 100)).unwrap();
    let actions = |action| log.iter().filter(|line| line.action == action).count();
    assert_eq!((actions("webhook.disabled"), actions("delivery.failed")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_never_answers_is_retried() {
    let mut bench = Bench::new();
    bench.config.webhooks.timeout = Period::seconds(1);
    let http = bench.http();
    bench.endpoint("acme", &http, "/hang");
    bench.enqueue("acme", 1, Milestone::Completed, &webhook());
    let relay = bench.relay();
    within(10, "the attempt's end", || bench.deliveries()[0].attempts == 1).await;
    relay.stop().await;
    let delivery = &bench.deliveries()[0];
    assert_eq!(delivery.state, "pending");
    assert!(delivery.last_error.as_ref().unwrap().contains("timeout"), "{delivery:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_interrupted_by_a_stop_are_repeated() {
    let bench = Bench::new();
    let http = bench.http();
    bench.endpoint("acme", &http, "/hang");
    bench.enqueue("acme", 1, Milestone::Completed, &webhook());
    let relay = bench.relay();
    within(10, "the request", || bench.requests().len() == 1).await;
    relay.stop().await;
    assert_eq!(
        (bench.deliveries()[0].state.as_str(), bench.deliveries()[0].attempts),
        ("pending", 0)
    );

    bench.write(|tx| {
        tx.execute("UPDATE endpoint SET url = replace(url, '/hang', '/in')", [])?;
        Ok(())
    });
    let relay = bench.relay();
    within(10, "delivered", || bench.deliveries()[0].state == "delivered").await;
    relay.stop().await;
    let ids: Vec<_> = bench.requests().iter().map(|r| r["headers"]["webhook-id"].clone()).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_an_endpoint_gives_up_its_deliveries() {
    let bench = Bench::new();
    let http = bench.http();
    bench.endpoint("acme", &http, "/in");
    bench.enqueue("acme", 1, Milestone::Completed, &webhook());
    let account = "acme".parse().unwrap();
    assert!(bench.write(|tx| endpoints::remove(tx, Timestamp::now(), &account, "crm")));
    let delivery = &bench.deliveries()[0];
    assert_eq!(delivery.state, "failed");
    assert_eq!(delivery.last_error.as_deref(), Some("the endpoint was removed"));
    assert!(bench.write(|tx| deliveries::retry(tx, 1, Timestamp::now())));
    let relay = bench.relay();
    within(10, "given up", || bench.deliveries()[0].state == "failed").await;
    relay.stop().await;
    assert!(bench.requests().is_empty());
}

/// An endpoint can get an internal address after it was saved, for example if the DNS entry of its
/// name changes.
#[tokio::test(flavor = "multi_thread")]
async fn endpoints_with_internal_addresses_get_no_connection() {
    let mut bench = Bench::new();
    bench.config.webhooks.allow.clear();
    let http = bench.http();
    bench.endpoint("acme", &http, "/in");
    bench.account("other");
    bench.endpoint("other", &http, "/in");
    bench.write(|tx| {
        let renamed = "UPDATE endpoint SET url = replace(url, '127.0.0.1', 'localhost')
                       WHERE account = 'other'";
        tx.execute(renamed, [])?;
        Ok(())
    });
    bench.enqueue("acme", 1, Milestone::Completed, &webhook());
    bench.enqueue("other", 2, Milestone::Completed, &webhook());
    let relay = bench.relay();
    within(10, "both attempts", || bench.deliveries().iter().all(|d| d.attempts == 1)).await;
    relay.stop().await;
    for delivery in bench.deliveries() {
        let why = delivery.last_error.unwrap();
        assert!(
            why.contains("is a loopback address; only [webhooks] allow can permit it"),
            "{why}"
        );
    }
    assert!(bench.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_failing_for_days_is_disabled() {
    let mut bench = Bench::new();
    let (_smtp, http) = (bench.smtp(&[]), bench.http());
    bench.endpoint("acme", &http, "/503");
    bench.write(|tx| {
        tx.execute("UPDATE account SET email = 'ops@acme.example'", [])?;
        let days_ago = Timestamp::now() - SignedDuration::from_hours(71);
        endpoints::record_failure(tx, days_ago, "acme", "crm")
    });
    bench.enqueue("acme", 1, Milestone::Completed, &webhook());
    let relay = bench.relay();
    within(10, "an attempt", || bench.requests().len() == 1).await;
    within(10, "its record", || bench.deliveries()[0].attempts == 1).await;
    relay.stop().await;
    let endpoint = bench.write(|tx| endpoints::list(tx, None)).remove(0);
    assert!(endpoint.disabled_at.is_none(), "71 hours are not three days");

    for n in 2..=3 {
        bench.enqueue("acme", n, Milestone::Completed, &webhook());
    }
    bench.write(|tx| {
        tx.execute("UPDATE endpoint SET failing_since = failing_since - 2 * 3600000", [])?;
        deliveries::retry(tx, 1, Timestamp::UNIX_EPOCH) // this delivery is due before the others
    });
    let relay = bench.relay();
    within(10, "the mail", || bench.mails().len() == 1).await;
    within(10, "its record", || bench.deliveries().iter().any(|d| d.state == "delivered")).await;
    relay.stop().await;
    assert_eq!(bench.requests().len(), 2, "nothing is sent to a disabled endpoint");
    let endpoint = bench.write(|tx| endpoints::list(tx, None)).remove(0);
    assert!(endpoint.disabled_reason.unwrap().starts_with("503"));
    assert!(
        bench.deliveries()[..3].iter().all(|d| d.state == "failed"),
        "{:?}",
        bench.deliveries()
    );
    let mail = bench.mails().remove(0);
    assert_eq!(header(&mail, "To"), "ops@acme.example");
    assert_eq!(header(&mail, "Subject"), "Webhooks to crm are switched off");
    assert!(mail.contains("503 Service Unavailable"), "{mail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_resets_the_failure_time() {
    let bench = Bench::new();
    let http = bench.http();
    bench.endpoint("acme", &http, "/in");
    bench.write(|tx| endpoints::record_failure(tx, Timestamp::UNIX_EPOCH, "acme", "crm"));
    bench.enqueue("acme", 1, Milestone::Completed, &webhook());
    let relay = bench.relay();
    within(10, "delivered", || bench.deliveries()[0].state == "delivered").await;
    relay.stop().await;
    assert_eq!(bench.write(|tx| endpoints::list(tx, None))[0].failing_since, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_secrets_sign_after_a_rotation() {
    let bench = Bench::new();
    let http = bench.http(); // the catcher refuses other secrets
    bench.endpoint("acme", &http, "/in");
    let (account, new) = ("acme".parse().unwrap(), Secret::generate().unwrap().reveal());
    let until = Timestamp::now() + SignedDuration::from_hours(24);
    assert!(bench.write(|tx| endpoints::rotate_secret(tx, &account, "crm", &new, until)));
    bench.enqueue("acme", 1, Milestone::Completed, &webhook());
    let relay = bench.relay();
    within(10, "delivered", || bench.deliveries()[0].state == "delivered").await;
    let signatures = bench.requests()[0]["headers"]["webhook-signature"].to_string();
    assert_eq!(signatures.matches("v1,").count(), 2, "{signatures}");

    bench.write(|tx| endpoints::rotate_secret(tx, &account, "crm", &new, Timestamp::now()));
    bench.enqueue("acme", 2, Milestone::Completed, &webhook());
    relay.wake.notify_one();
    within(10, "refused", || bench.deliveries()[1].attempts == 1).await;
    relay.stop().await;
    assert!(bench.deliveries()[1].last_error.as_ref().unwrap().starts_with("401"));
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_answers_are_read_in_part() {
    let bench = Bench::new();
    let http = bench.http();
    bench.endpoint("acme", &http, "/endless");
    bench.enqueue("acme", 1, Milestone::Completed, &webhook());
    let relay = bench.relay();
    within(10, "the attempt's end", || bench.deliveries()[0].attempts == 1).await;
    relay.stop().await;
    let why = bench.deliveries()[0].last_error.clone().unwrap();
    assert!(why.starts_with("500") && why.contains("xxx") && why.len() < 300, "{why}");
}
