//! The relay: finds what is due, and sees to it that one slow server holds up nobody else.
//!
//! It keeps nothing but what is in flight. Email and webhooks have slots of their own; an address
//! or endpoint gets one at a time, in order, and the endpoints of one host get half at most. An
//! attempt runs on a thread of its own, since neither SMTP nor HTTP can be told to stop; at
//! shutdown a thread that still waits is left behind, its delivery is pending, and the next start
//! makes it again under the same id.

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

use super::attempt::{Attachments, Courier};
use super::retry::LONGEST_WAIT;
use super::webhook::endpoint;
use crate::config::Config;
use crate::state::deliveries::{self, Channel, Due};
use crate::state::{self, State};

/// The longest time between two looks: bounds what a lost wake-up costs.
const POLL: Duration = Duration::from_secs(30);

/// How long to leave the state database alone after it failed us.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(5);

/// How long what is in flight may take to end at shutdown.
const GRACE: Duration = Duration::from_secs(3);

/// Mails on their way at once.
const EMAIL_SLOTS: usize = 4;

/// Webhooks on their way at once.
const WEBHOOK_SLOTS: usize = 8;

/// Of these, to one host.
const SLOTS_PER_HOST: usize = WEBHOOK_SLOTS / 2;

/// Delivers what the state database says is due.
pub struct Relay {
    courier: Arc<Courier>,
    in_flight: InFlight,
    /// The longest wait that a schedule or `[mail] digest` gives a delivery.
    longest_wait: Duration,
    done: UnboundedReceiver<i64>,
    done_sender: UnboundedSender<i64>,
}

impl Relay {
    /// For the deliveries of `state`.
    pub fn new(state: Arc<State>, config: &Config, attachments: Arc<dyn Attachments>) -> Self {
        let courier = Arc::new(Courier::new(state, config, attachments));
        let (done_sender, done) = mpsc::unbounded_channel();
        Self {
            courier,
            in_flight: InFlight::default(),
            longest_wait: LONGEST_WAIT.max(config.mail.digest.get()),
            done,
            done_sender,
        }
    }

    /// Delivers until `shutdown`, and then ends within three seconds, whatever is in flight.
    ///
    /// `wake` says "look"; without it a look comes when something becomes due, and every 30 s.
    pub async fn run(mut self, wake: Arc<Notify>, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        loop {
            let mut woken = pin!(wake.notified());
            woken.as_mut().enable(); // before the look: a wake-up during it isn't lost
            let pause = self.look().await;
            tokio::select! {
                () = &mut shutdown => break,
                () = &mut woken => {}
                Some(id) = self.done.recv() => self.land(id),
                () = sleep(pause) => {}
            }
        }
        // What doesn't end in time is made again at the next start.
        let _ = timeout(GRACE, self.drain()).await;
    }

    async fn drain(&mut self) {
        while !self.in_flight.0.is_empty() {
            let Some(id) = self.done.recv().await else { return };
            self.land(id);
        }
    }

    fn land(&mut self, id: i64) {
        self.in_flight.0.remove(&id);
        while let Ok(id) = self.done.try_recv() {
            self.in_flight.0.remove(&id);
        }
    }

    /// Starts what is due and has a slot. Returns how long there is nothing else to do.
    async fn look(&mut self) -> Duration {
        let (courier, longest_wait) = (Arc::clone(&self.courier), self.longest_wait);
        let survey = move || survey(courier.state(), Timestamp::now(), longest_wait);
        match tokio::task::spawn_blocking(survey).await {
            Ok(Ok((due, pause))) => {
                for due in self.in_flight.choose(due) {
                    self.start(due);
                }
                pause
            }
            Ok(Err(error)) => {
                error!(error = &error as &dyn std::error::Error, "cannot look for due deliveries");
                PAUSE_AFTER_ERROR
            }
            Err(error) => {
                error!(
                    error = &error as &dyn std::error::Error,
                    "the look for deliveries panicked"
                );
                PAUSE_AFTER_ERROR
            }
        }
    }

    fn start(&mut self, due: Due) {
        let (id, courier, done) = (due.id, Arc::clone(&self.courier), self.done_sender.clone());
        self.in_flight.0.insert(id, due);
        let work = move || {
            if let Err(error) = courier.attempt(id) {
                let error = &error as &dyn std::error::Error;
                error!(error, delivery = id, "cannot record an attempt; it will be made again");
                thread::sleep(PAUSE_AFTER_ERROR); // it is due still
            }
            let _ = done.send(id); // no receiver: the relay has ended
        };
        if let Err(error) = thread::Builder::new().name("delivery".into()).spawn(work) {
            error!(%error, delivery = id, "cannot start a thread");
            self.in_flight.0.remove(&id); // the next look takes it up
        }
    }
}

/// Returns the deliveries that are due at `now`, and the time until the next one is.
fn survey(
    state: &State,
    now: Timestamp,
    longest_wait: Duration,
) -> state::Result<(Vec<Due>, Duration)> {
    let latest = now.checked_add(longest_wait).unwrap_or(Timestamp::MAX);
    if state.read(|tx| deliveries::next_due(tx, latest))?.is_some() {
        // The clock was set back since these were scheduled. The new time is written, as the
        // hourly mail limits only move a delivery to a later time.
        warn!("the clock was set back: deliveries scheduled beyond the longest wait are due now");
        state.write(|tx| deliveries::make_due(tx, now, latest))?;
    }
    state.read(|tx| {
        let due = deliveries::due(tx, now)?;
        let wait = deliveries::next_due(tx, now)?.map(|next| next.duration_since(now));
        Ok((due, wait.map_or(POLL, |wait| wait.unsigned_abs().min(POLL))))
    })
}

/// What is being attempted now, by delivery.
#[derive(Debug, Default)]
struct InFlight(HashMap<i64, Due>);

impl InFlight {
    /// Of `due`, what may start now.
    fn choose(&self, due: Vec<Due>) -> Vec<Due> {
        let mut chosen: Vec<Due> = Vec::new();
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

fn host(due: &Due) -> Option<String> {
    due.url.as_deref().and_then(endpoint::host)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn email(id: i64, to: &str) -> Due {
        Due { id, channel: Channel::Email, lane: format!("email {to}"), url: None }
    }

    fn webhook(id: i64, account: &str, host: &str) -> Due {
        let (lane, url) = (format!("webhook {account} crm"), format!("https://{host}/in"));
        Due { id, channel: Channel::Webhook, lane, url: Some(url) }
    }

    fn ids(chosen: Vec<Due>) -> Vec<i64> {
        chosen.into_iter().map(|due| due.id).collect()
    }

    #[test]
    fn one_at_a_time_to_a_destination() {
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
    fn mail_that_hangs_leaves_webhooks_their_slots_and_the_other_way_round() {
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

    /// Surveys one delivery, scheduled `at` seconds ahead; the longest wait is 100 s. Returns what
    /// is due, the pause, and how many seconds ahead the delivery is scheduled afterwards.
    fn survey_one(at: i64) -> (Vec<i64>, Duration, Option<i64>) {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).unwrap();
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let milestone = deliveries::Milestone {
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
        let (due, pause) = survey(&state, now, Duration::from_secs(100)).unwrap();
        let delivery = state.read(|tx| deliveries::find(tx, 1)).unwrap().unwrap();
        let scheduled = delivery.next_attempt_at.map(|next| next.duration_since(now).as_secs());
        (due.into_iter().map(|due| due.id).collect(), pause, scheduled)
    }

    #[test]
    fn a_delivery_scheduled_beyond_the_longest_wait_is_due() {
        let second = Duration::from_secs(1);
        assert_eq!(survey_one(0), (vec![1], POLL, Some(0)));
        assert_eq!(survey_one(7), (vec![], 7 * second, Some(7)));
        assert_eq!(survey_one(100), (vec![], POLL, Some(100)));
        assert_eq!(survey_one(101), (vec![1], POLL, Some(0)));
        assert_eq!(survey_one(1_000_000_000), (vec![1], POLL, Some(0)));
    }
}
