//! Tests of the relay with a real SMTP server, a real HTTP server and a state database on disk.

mod bench;
mod digest;
mod endpoints;
mod mail;
mod rate_limit;
mod rebinding;

use std::time::Duration;

use base64::Engine as _;
use bench::{Bench, client, header, webhook, within};

use super::{Milestone, Recipients};
use crate::state::{activity, deliveries};

/// Returns the number of seconds from the end of the last attempt at `delivery` to the next
/// attempt.
fn wait_of(bench: &Bench, delivery: &deliveries::Delivery) -> i64 {
    let attempt = bench.write(|tx| deliveries::list_attempts(tx, delivery.id)).pop().unwrap();
    let next = delivery.next_attempt_at.unwrap().as_millisecond();
    (next - attempt.at.as_millisecond() - attempt.took_ms) / 1000
}

#[tokio::test(flavor = "multi_thread")]
async fn milestones_are_delivered_once_by_mail_and_webhook() {
    let mut bench = Bench::new();
    let (_smtp, http) = (bench.smtp(&[]), bench.http());
    bench.endpoint("acme", &http, "/in");
    let relay = bench.relay();
    let both = Recipients { webhook: Some("crm".into()), ..client() };
    assert!(bench.enqueue("acme", 1, Milestone::PickedUp, &both));
    assert!(bench.enqueue("acme", 1, Milestone::Completed, &both));
    relay.wake.notify_one();
    within(10, "four deliveries", || {
        let deliveries = bench.deliveries();
        deliveries.len() == 4 && deliveries.iter().all(|d| d.state == "delivered")
    })
    .await;
    relay.stop().await;

    let (mails, requests, deliveries) = (bench.mails(), bench.requests(), bench.deliveries());
    let ids: Vec<_> = [0, 2].map(|i| deliveries[i].message.clone()).into();
    assert_eq!(mails.len(), 2);
    for (i, text) in ["has begun", "is complete, with 1 rejected"].into_iter().enumerate() {
        assert!(header(&mails[i], "Subject").contains(text), "{}", mails[i]);
        assert_eq!(header(&mails[i], "Auto-Submitted"), "auto-generated");
        let id = format!("<{}.d{}@localhost>", ids[i], deliveries[i * 2].id);
        assert_eq!(header(&mails[i], "Message-ID"), id);
    }
    let attached = base64::engine::general_purpose::STANDARD.encode(&bench.error_file);
    assert!(mails[1].replace("\r\n", "").contains(&attached), "{}", mails[1]);

    assert_eq!(requests.len(), 2);
    for (request, id) in requests.iter().zip(&ids) {
        assert_eq!(request["verified"], true, "{request}");
        assert_eq!(request["headers"]["webhook-id"], **id);
        assert_eq!(request["headers"]["content-type"], "application/json");
        assert!(request["headers"]["user-agent"].as_str().unwrap().starts_with("sftp-import/"));
    }
    let body: serde_json::Value =
        serde_json::from_str(requests[1]["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["type"], "import.completed");
    assert_eq!(body["data"]["records"]["accepted"], 3);
    assert_eq!(body["data"]["import"], "sftp1-1");
}

#[tokio::test]
async fn only_still_processing_can_be_enqueued_again() {
    let bench = Bench::new();
    for milestone in [Milestone::PickedUp, Milestone::Completed, Milestone::Failed] {
        assert!(bench.enqueue("acme", 1, milestone, &client()));
        assert!(!bench.enqueue("acme", 1, milestone, &client()));
        assert!(bench.enqueue("acme", 2, milestone, &client()));
    }
    assert!(bench.enqueue("acme", 1, Milestone::StillProcessing, &client()));
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(bench.enqueue("acme", 1, Milestone::StillProcessing, &client()));
    assert_eq!(bench.deliveries().len(), 8);
    let log = bench.state.read(|tx| activity::recent(tx, None, 100)).unwrap();
    assert_eq!(log.len(), 8);
    assert_eq!(log[0].action, "import.picked_up");
    assert_eq!(log[0].detail, "events.manifest: 4 read, 3 accepted, 1 rejected");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_mail_is_given_up() {
    let mut bench = Bench::new();
    let _smtp = bench.smtp(&["--refuse"]);
    bench.enqueue("acme", 1, Milestone::Completed, &client());
    let relay = bench.relay();
    within(10, "given up", || bench.deliveries()[0].state == "failed").await;
    relay.stop().await;
    let delivery = &bench.deliveries()[0];
    assert_eq!(delivery.attempts, 1);
    assert!(delivery.last_error.as_ref().unwrap().contains("no such user"), "{delivery:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_too_large_is_sent_without_attachment() {
    let mut bench = Bench::new();
    bench.error_file = "x".repeat(40_000);
    let _smtp = bench.smtp(&["--max-size", "30000"]);
    bench.enqueue("acme", 1, Milestone::Completed, &client());
    let relay = bench.relay();
    within(10, "delivered", || bench.deliveries()[0].state == "delivered").await;
    relay.stop().await;
    let mail = bench.mails().remove(0);
    assert!(mail.contains("too large for the mail server"), "{mail}");
    assert!(mail.contains("results/events.errors.csv") && mail.len() < 30_000, "{mail}");
    assert_eq!(bench.deliveries()[0].attempts, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn deferred_mail_is_retried_under_the_same_id() {
    let mut bench = Bench::new();
    let _smtp = bench.smtp(&["--defer", "1"]);
    bench.enqueue("acme", 1, Milestone::PickedUp, &client());
    let relay = bench.relay();
    within(10, "deferred", || bench.deliveries()[0].attempts == 1).await;
    let deferred = bench.deliveries().remove(0);
    assert!(deferred.last_error.as_ref().unwrap().contains("greylisted"), "{deferred:?}");
    assert!(wait_of(&bench, &deferred) >= 5, "{deferred:?}");
    within(10, "delivered by itself", || bench.deliveries()[0].state == "delivered").await;
    relay.stop().await;
    let id = format!("<{}.d{}@localhost>", deferred.message, deferred.id);
    assert_eq!(header(&bench.mails()[0], "Message-ID"), id);
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_fails_only_without_a_configured_server() {
    let mut bench = Bench::new();
    bench.enqueue("acme", 1, Milestone::Completed, &client());
    let relay = bench.relay();
    within(10, "an attempt", || bench.deliveries()[0].attempts == 1).await;
    relay.stop().await;
    assert_eq!(bench.deliveries()[0].state, "pending", "no server listens at the address");

    bench.config.mail.url = String::new();
    bench.enqueue("acme", 2, Milestone::Completed, &client());
    let relay = bench.relay();
    within(10, "given up", || bench.deliveries()[1].state == "failed").await;
    relay.stop().await;
    let why = bench.deliveries()[1].last_error.clone().unwrap();
    assert!(why.contains("no mail server is configured"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_servers_do_not_delay_other_servers() {
    let mut bench = Bench::new();
    let (_smtp, http) = (bench.smtp(&["--hang"]), bench.http());
    bench.account("stuck");
    bench.endpoint("stuck", &http, "/hang");
    bench.endpoint("acme", &http, "/in");
    for n in 1..=20 {
        let to = Recipients { client_email: Some(format!("{n}@acme.example")), ..webhook() };
        bench.enqueue("stuck", n, Milestone::Completed, &to);
    }
    let relay = bench.relay();
    within(10, "the hanging request", || !bench.requests().is_empty()).await;
    bench.enqueue("acme", 21, Milestone::Completed, &webhook());
    relay.wake.notify_one();
    within(10, "the other's webhook", || bench.requests().iter().any(|r| r["path"] == "/in")).await;
    relay.stop().await;
    assert_eq!(bench.requests().len(), 2, "a hanging endpoint gets one request at a time");
}
