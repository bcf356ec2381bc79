//! The relay: starts due deliveries on separate threads, so that a slow server does not delay
//! others.
//!
//! The relay remembers only the deliveries in flight. Email and webhooks have separate slots. An
//! address or endpoint gets one delivery at a time, in order; the endpoints of one host get at most
//! half of the slots. Every attempt runs on its own thread, since neither SMTP nor HTTP can be
//! cancelled. At shutdown, threads that still wait are abandoned: their deliveries stay pending,
//! and the next start attempts them again under the same id.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::{sleep, timeout};
use tracing::{error, warn};

use super::attempt::AttemptRunner;
use super::mail::attachment::Attachments;
use super::retry::LONGEST_WAIT;
use super::webhook::endpoint;
use crate::config::Config;
use crate::state::deliveries::{self, Channel, DueDelivery};
use crate::state::{self, State};

/// The maximum time between two scans for due deliveries. It limits the delay after a lost
/// wake-up.
const POLL: Duration = Duration::from_secs(30);

/// The pause of the relay after an error of the state database.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(5);

/// The maximum time for which the relay waits for attempts in flight before it ends.
const GRACE: Duration = Duration::from_secs(3);

/// The maximum number of mails in flight at the same time.
const EMAIL_SLOTS: usize = 4;

/// The maximum number of webhook requests in flight at the same time.
const WEBHOOK_SLOTS: usize = 8;

/// The maximum number of webhook requests to one host in flight at the same time.
const SLOTS_PER_HOST: usize = WEBHOOK_SLOTS / 2;

/// Attempts the deliveries of the state database when they are due.
pub struct Relay {
    state: Arc<State>,
    runner: Arc<AttemptRunner>,
    in_flight: InFlight,
    /// The maximum time for which a retry schedule or `[mail] digest` postpones a delivery.
    longest_wait: Duration,
    done: UnboundedReceiver<i64>,
    done_sender: UnboundedSender<i64>,
}

impl Relay {
    pub fn new(state: Arc<State>, config: &Config, attachments: Arc<dyn Attachments>) -> Self {
        let runner = Arc::new(AttemptRunner::new(Arc::clone(&state), config, attachments));
        let (done_sender, done) = mpsc::unbounded_channel();
        Self {
            state,
            runner,
            in_flight: InFlight::default(),
            longest_wait: LONGEST_WAIT.max(config.mail.digest.get()),
            done,
            done_sender,
        }
    }

    /// Runs until `shutdown`, then ends within three seconds.
    ///
    /// A notification of `wake` starts a scan. A scan also starts when a delivery becomes due, and
    /// at least every 30 s.
    pub async fn run(mut self, wake: Arc<Notify>, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        loop {
            let mut woken = pin!(wake.notified());
            woken.as_mut().enable(); // a wake-up during the scan is not lost
            let pause = self.scan().await;
            tokio::select! {
                () = &mut shutdown => break,
                () = &mut woken => {}
                Some(id) = self.done.recv() => self.finish(id),
                () = sleep(pause) => {}
            }
        }
        // If an attempt does not end in time, it is made again after the next start of the daemon.
        let _ = timeout(GRACE, self.drain()).await;
    }

    async fn drain(&mut self) {
        while !self.in_flight.0.is_empty() {
            let Some(id) = self.done.recv().await else { return };
            self.finish(id);
        }
    }

    fn finish(&mut self, id: i64) {
        self.in_flight.0.remove(&id);
        while let Ok(id) = self.done.try_recv() {
            self.in_flight.0.remove(&id);
        }
    }

    /// Starts the due deliveries for which a slot is free. Returns the time until the next scan.
    async fn scan(&mut self) -> Duration {
        let (state, longest_wait) = (Arc::clone(&self.state), self.longest_wait);
        let find_due = move || find_due(&state, Timestamp::now(), longest_wait);
        match tokio::task::spawn_blocking(find_due).await {
            Ok(Ok((due, pause))) => {
                for due in self.in_flight.choose(due) {
                    self.start(due);
                }
                pause
            }
            Ok(Err(error)) => {
                error!(error = &error as &dyn std::error::Error, "cannot scan for due deliveries");
                PAUSE_AFTER_ERROR
            }
            Err(error) => {
                error!(
                    error = &error as &dyn std::error::Error,
                    "the scan for due deliveries panicked"
                );
                PAUSE_AFTER_ERROR
            }
        }
    }

    fn start(&mut self, due: DueDelivery) {
        let (id, runner, done) = (due.id, Arc::clone(&self.runner), self.done_sender.clone());
        self.in_flight.0.insert(id, due);
        let work = move || {
            if let Err(error) = runner.run(id) {
                let error = &error as &dyn std::error::Error;
                error!(
                    error,
                    delivery = id,
                    "cannot record an attempt; the attempt will be made again"
                );
                thread::sleep(PAUSE_AFTER_ERROR); // the delivery is still due
            }
            let _ = done.send(id); // sending fails only if the relay has ended
        };
        if let Err(error) = thread::Builder::new().name("delivery".into()).spawn(work) {
            error!(%error, delivery = id, "cannot start a thread for a delivery");
            self.in_flight.0.remove(&id); // the next scan starts the delivery again
        }
    }
}

/// Returns the deliveries that are due at `now`, and the time until another delivery is due.
///
/// A delivery that is scheduled further ahead than `longest_wait` is due now.
fn find_due(
    state: &State,
    now: Timestamp,
    longest_wait: Duration,
) -> state::Result<(Vec<DueDelivery>, Duration)> {
    let latest = now.checked_add(longest_wait).unwrap_or(Timestamp::MAX);
    if state.read(|tx| deliveries::next_due(tx, latest))?.is_some() {
        // The clock was set back after these deliveries were scheduled. The new due time is written
        // to the database, as the hourly mail limits move a delivery only to a later time.
        warn!("the clock was set back: deliveries scheduled beyond the longest wait are due now");
        state.write(|tx| deliveries::make_due(tx, now, latest))?;
    }
    state.read(|tx| {
        let due = deliveries::list_due(tx, now)?;
        let wait = deliveries::next_due(tx, now)?.map(|next| next.duration_since(now));
        Ok((due, wait.map_or(POLL, |wait| wait.unsigned_abs().min(POLL))))
    })
}

/// The deliveries in flight. The key of each delivery is its id.
#[derive(Debug, Default)]
struct InFlight(HashMap<i64, DueDelivery>);

impl InFlight {
    /// Selects from `due` the deliveries for which a slot is free.
    fn choose(&self, due: Vec<DueDelivery>) -> Vec<DueDelivery> {
        let mut chosen: Vec<DueDelivery> = Vec::new();
        for candidate in due {
            let busy = || self.0.values().chain(&chosen);
            let has_slot = match candidate.channel {
                Channel::Email => {
                    busy().filter(|d| d.channel == Channel::Email).count() < EMAIL_SLOTS
                }
                Channel::Webhook => {
                    let wanted = host(&candidate);
                    let webhooks = || busy().filter(|d| d.channel == Channel::Webhook);
                    webhooks().count() < WEBHOOK_SLOTS
                        && webhooks().filter(|d| host(d) == wanted).count() < SLOTS_PER_HOST
                }
            };
            if has_slot && !busy().any(|d| d.lane == candidate.lane) {
                chosen.push(candidate);
            }
        }
        chosen
    }
}

fn host(due: &DueDelivery) -> Option<String> {
    due.url.as_deref().and_then(endpoint::host)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn email(id: i64, to: &str) -> DueDelivery {
        DueDelivery { id, channel: Channel::Email, lane: format!("email {to}"), url: None }
    }

    fn webhook(id: i64, account: &str, host: &str) -> DueDelivery {
        let (lane, url) = (format!("webhook {account} crm"), format!("https://{host}/in"));
        DueDelivery { id, channel: Channel::Webhook, lane, url: Some(url) }
    }

    fn ids(chosen: Vec<DueDelivery>) -> Vec<i64> {
        chosen.into_iter().map(|due| due.id).collect()
    }

    #[test]
    fn a_destination_gets_one_delivery_at_a_time() {
        let mut in_flight = InFlight::default();
        in_flight.0.insert(1, email(1, "a@x"));
        in_flight.0.insert(2, webhook(2, "acme", "h"));
        let due = vec![
            email(3, "a@x"),
            webhook(4, "acme", "h"),
            webhook(5, "other", "h"),
            email(6, "b@x"),
            email(7, "b@x"),
        ];
        assert_eq!(ids(in_flight.choose(due)), [5, 6]);
    }

    #[test]
    fn mail_and_webhooks_have_separate_slots() {
        let mut in_flight = InFlight::default();
        for id in 0..EMAIL_SLOTS as i64 {
            in_flight.0.insert(id, email(id, &format!("{id}@x")));
        }
        assert_eq!(ids(in_flight.choose(vec![email(90, "y@x"), webhook(91, "acme", "h")])), [91]);
        let many = (100..200).map(|id| webhook(id, &id.to_string(), &id.to_string())).collect();
        assert_eq!(in_flight.choose(many).len(), WEBHOOK_SLOTS);
    }

    #[test]
    fn one_host_gets_half_of_the_slots() {
        let mut due: Vec<_> =
            (0..20).map(|id| webhook(id, &id.to_string(), "Slow.example")).collect();
        due.push(webhook(99, "acme", "quick.example"));
        let chosen = ids(InFlight::default().choose(due));
        assert_eq!(chosen, [0, 1, 2, 3, 99]);
    }

    /// Scans for one delivery, scheduled `at` seconds ahead; the longest wait is 100 s. Returns the
    /// due deliveries, the pause, and how many seconds ahead the delivery is scheduled afterwards.
    fn find_one_due(at: i64) -> (Vec<i64>, Duration, Option<i64>) {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).unwrap();
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let milestone = deliveries::MilestoneRow {
            id: "msg_1".into(),
            import: None,
            account: "acme".into(),
            kind: "import.completed".into(),
            at: now + SignedDuration::from_secs(at),
            body: "{}".into(),
        };
        state
            .write(|tx| {
                deliveries::add_milestone(tx, &milestone)?;
                deliveries::add(tx, &milestone, Channel::Webhook, "crm")
            })
            .unwrap();
        let (due, pause) = find_due(&state, now, Duration::from_secs(100)).unwrap();
        let delivery = state.read(|tx| deliveries::find(tx, 1)).unwrap().unwrap();
        let scheduled = delivery.next_attempt_at.map(|next| next.duration_since(now).as_secs());
        (due.into_iter().map(|due| due.id).collect(), pause, scheduled)
    }

    #[test]
    fn deliveries_scheduled_beyond_the_longest_delay_are_due() {
        let second = Duration::from_secs(1);
        assert_eq!(find_one_due(0), (vec![1], POLL, Some(0)));
        assert_eq!(find_one_due(7), (vec![], 7 * second, Some(7)));
        assert_eq!(find_one_due(100), (vec![], POLL, Some(100)));
        assert_eq!(find_one_due(101), (vec![1], POLL, Some(0)));
        assert_eq!(find_one_due(1_000_000_000), (vec![1], POLL, Some(0)));
    }
}
