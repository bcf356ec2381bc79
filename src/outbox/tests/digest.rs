//! Tests of the setting `[mail] digest`: one mail covers several imports, and no import is lost or
//! repeated.

use super::bench::{Bench, client, header, within};
use crate::config::{Period, Size};
use crate::outbox::Milestone;

fn digesting(seconds: u64) -> Bench {
    let mut bench = Bench::new();
    bench.config.mail.digest = Period::seconds(seconds);
    bench
}

fn all_delivered(bench: &Bench) -> bool {
    bench.deliveries().iter().all(|delivery| delivery.state == "delivered")
}

#[tokio::test(flavor = "multi_thread")]
async fn import_ends_of_one_account_share_a_mail() {
    let mut bench = digesting(3600);
    let _smtp = bench.smtp(&[]);
    bench.account("other");
    bench.enqueue("acme", 1, Milestone::PickedUp, &client());
    bench.enqueue("acme", 1, Milestone::Completed, &client());
    bench.enqueue("other", 2, Milestone::Completed, &client());
    let relay = bench.relay();
    within(10, "the mail about the start", || bench.mails().len() == 1).await;
    assert!(header(&bench.mails()[0], "Subject").contains("has begun"));
    // If the relay restarts during the wait, no delivery is lost, because the deliveries are in
    // the state database.
    relay.stop().await;
    for (n, milestone) in [(3, Milestone::Completed), (4, Milestone::Failed)] {
        bench.enqueue("acme", n, milestone, &client());
    }
    bench.write(|tx| {
        tx.execute_batch(
            "UPDATE milestone SET at = at - 3600000;
             UPDATE delivery SET next_attempt_at = next_attempt_at - 3600000",
        )?; // the effect is the same as after an hour
        Ok(())
    });
    let relay = bench.relay();
    within(30, "all delivered", || all_delivered(&bench)).await;
    relay.stop().await;
    let mails = bench.mails();
    let subjects: Vec<_> = mails.iter().map(|mail| header(mail, "Subject")).collect();
    assert_eq!(mails.len(), 3, "{subjects:?}");
    let digest = mails.iter().find(|mail| mail.contains("3 of your imports have ended.")).unwrap();
    assert!(header(digest, "Subject").starts_with("2 imports are complete, 1 failed"), "{digest}");
    assert_eq!(digest.matches("Content-Disposition: attachment").count(), 3, "{digest}");
    for import in ["sftp1-1", "sftp1-3", "sftp1-4"] {
        assert!(digest.contains(import), "{digest}");
    }
    assert!(!digest.contains("sftp1-2"), "an import of another account: {digest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_digest_is_retried_with_all_imports() {
    let mut bench = digesting(1);
    bench.config.mail.attach_up_to = Size::from_bytes(100);
    let _smtp = bench.smtp(&["--defer", "1"]);
    for n in 1..=3 {
        bench.enqueue("acme", n, Milestone::Completed, &client());
    }
    let relay = bench.relay();
    within(30, "deferred", || bench.deliveries().iter().all(|d| d.attempts == 1)).await;
    assert!(bench.deliveries()[2].last_error.as_ref().unwrap().contains("greylisted"));
    within(60, "delivered", || all_delivered(&bench)).await;
    relay.stop().await;
    let mails = bench.mails();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains("3 of your imports have ended."), "{}", mails[0]);
    // Each error file has 63 bytes, and the limit is 100 bytes. One error file fits into the mail.
    // For the other files, the mail has only the path.
    assert_eq!(mails[0].matches("Content-Disposition: attachment").count(), 1, "{}", mails[0]);
    assert!(mails[0].contains("too large to attach with the other error files"), "{}", mails[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_import_end_is_mailed_without_digest() {
    let mut bench = digesting(1);
    let _smtp = bench.smtp(&[]);
    bench.enqueue("acme", 1, Milestone::Completed, &client());
    let relay = bench.relay();
    within(30, "delivered", || all_delivered(&bench)).await;
    relay.stop().await;
    let mail = bench.mails().remove(0);
    assert!(header(&mail, "Subject").starts_with("Import sftp1-1 is complete"), "{mail}");
    assert!(mail.contains("for example"), "a sample from the error file: {mail}");
}
