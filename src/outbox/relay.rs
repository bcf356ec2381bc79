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
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::{sleep, timeout};
use tracing::{error, warn};

use super::attempt::{Attachments, Courier};
use super::endpoint;
use super::retry::LONGEST_WAIT;
use super::set_back::Clocks;
use crate::config::Config;
use crate::printable::chain;
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
    clocks: Clocks,
    /// No delivery waits for longer, by the clock as it is at the start.
    longest_wait: SignedDuration,
    done: UnboundedReceiver<i64>,
    done_sender: UnboundedSender<i64>,
}

impl Relay {
    /// For the deliveries of `state`.
    pub fn new(state: Arc<State>, config: &Config, attachments: Arc<dyn Attachments>) -> Self {
        let courier = Arc::new(Courier::new(state, config, attachments));
        let (done_sender, done) = mpsc::unbounded_channel();
        let longest_wait = LONGEST_WAIT.max(config.mail.digest.get());
        Self {
            courier,
            in_flight: InFlight::default(),
            clocks: Clocks::new(Instant::now(), Timestamp::now()),
            longest_wait: SignedDuration::try_from(longest_wait).unwrap_or(SignedDuration::MAX),
            done,
            done_sender,
        }
    }

    /// Delivers until `shutdown`, and then ends within three seconds, whatever is in flight.
    ///
    /// `wake` says "look"; without it a look comes when something becomes due, and every 30 s.
    pub async fn run(mut self, wake: Arc<Notify>, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        self.write(|tx, longest| deliveries::not_later_than(tx, Timestamp::now(), longest)).await;
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

    /// What is to be attempted at a time comes no later because the clock was set back.
    async fn follow_clock(&mut self) {
        let Some(back) = self.clocks.set_back(Instant::now(), Timestamp::now()) else { return };
        warn!("the clock was set back by {back:#}; deliveries that wait are made as much earlier");
        self.write(move |tx, _| deliveries::bring_forward(tx, back)).await;
    }

    async fn write(
        &self,
        work: impl FnOnce(&state::Transaction<'_>, SignedDuration) -> state::Result<()> + Send + 'static,
    ) {
        let (courier, longest) = (Arc::clone(&self.courier), self.longest_wait);
        let write = move || courier.state().write(|tx| work(tx, longest));
        match tokio::task::spawn_blocking(write).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!("cannot follow the clock: {}", chain(&error)),
            Err(error) => error!("following the clock panicked: {error}"),
        }
    }

    /// Starts what is due and has a slot. Returns how long there is nothing else to do.
    async fn look(&mut self) -> Duration {
        self.follow_clock().await;
        let courier = Arc::clone(&self.courier);
        let looked = tokio::task::spawn_blocking(move || survey(courier.state())).await;
        match looked {
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

/// What is due now, and how long until something else is.
fn survey(state: &State) -> state::Result<(Vec<Due>, Duration)> {
    let now = Timestamp::now();
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
}
