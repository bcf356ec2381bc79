//! The working loop: wake-ups in, looks and imports out, watchdog and status on the way.
//!
//! It decides nothing about files or records; `Looks` and `Queue` say what is next, `Engine` does
//! it on a blocking thread (`starting`), and the loop carries results back (`done`). Nothing runs
//! here that waits for a disk or a lock (setting an inotify watch looks up one path), so a loop
//! that has stopped coming round is one the watchdog should end; and so is one all of whose looks
//! hang.

pub mod completed;
pub mod dispatch;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::free_space;
use super::free_space::Space;
use super::jobs;
use super::jobs::{Done, Run};
use super::schedule::intake::Looks;
use super::schedule::progress::Telling;
use super::schedule::survey::{Surveys, Wanted};
use super::state_changes::Changes;
use super::status::status;
use super::systemd::Notify;
use super::tick::Pulse;
use super::watcher::Ears;
use crate::account::AccountId;
use crate::import::Engine;
use crate::import::run::queue::{Queue, Queued};
use crate::sanitize::chain;
use crate::spool::{Look, Watcher};

/// How long running imports get to stop at SIGTERM; with two seconds more for mail and webhooks,
/// below the unit's TimeoutStopSec.
const STOP_WITHIN: Duration = Duration::from_secs(7);
/// A commit that is written to the log is visible within this, on a disk that works.
const VISIBLE_WITHIN: Duration = Duration::from_secs(5);

/// The working loop's state.
pub struct Supervisor {
    engine: Arc<Engine>,
    looks: Looks,
    queue: Queue,
    running: HashMap<AccountId, Run>,
    tasks: JoinSet<Done>,
    wake_relay: Arc<tokio::sync::Notify>,
    notify: Notify,
    surveys: Surveys,
    rescan_at: Instant,
    /// None while one is under way.
    sweep_at: Option<Instant>,
    telling: Telling,
    ears: Ears,
    /// Accounts with a session that changed files and has ended.
    session_ends: UnboundedReceiver<AccountId>,
    changes: Changes,
    /// When they were last heard.
    changed_at: Option<Instant>,
    space: Space,
    /// What had begun is being queued again.
    putting_back: bool,
    pulse: Pulse,
}

impl Supervisor {
    /// With nothing under way yet.
    pub fn new(
        engine: Arc<Engine>,
        watcher: Watcher,
        session_ends: UnboundedReceiver<AccountId>,
        wake_relay: Arc<tokio::sync::Notify>,
        notify: Notify,
    ) -> Self {
        let telling = Telling::new(engine.config.milestones.still_processing_every.get());
        let rescan_at = Instant::now() + engine.config.pairing.rescan_every.get();
        let space = Space::new(engine.config.imports.free_space_floor);
        let changes = Changes::of(&engine.config.paths.state_db());
        let pulse = Pulse::new(Instant::now(), notify.watchdog());
        Self {
            engine,
            space,
            putting_back: false,
            looks: Looks::default(),
            queue: Queue::default(),
            running: HashMap::new(),
            tasks: JoinSet::new(),
            wake_relay,
            notify,
            surveys: Surveys::default(),
            rescan_at,
            sweep_at: Some(Instant::now()),
            telling,
            ears: Ears::new(watcher),
            session_ends,
            changes,
            changed_at: None,
            pulse,
        }
    }

    /// Runs until `stop` resolves, then lets running imports stop.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        self.measured(&free_space::measure(&free_space::folders(&self.engine.config)), 0);
        // The first survey comes before "ready": what is uploaded from then on is seen at once.
        self.surveys.want(Wanted::LOOK_AT_ALL);
        if let Some(order) = self.surveys.begin(Instant::now()) {
            self.done(Ok(jobs::survey(&self.engine, order)));
        }
        self.notify.ready();
        loop {
            let now = Instant::now();
            self.keep_time(now);
            self.start_work(now);
            let runs: Vec<_> = self.running.values().collect();
            let status = status(&runs, self.queue.waiting(), self.ears.watched());
            self.notify.status(self.space.explain(status));
            let alarm = self.next_alarm(now);
            tokio::select! {
                () = &mut stop => break,
                looks = self.ears.next() => self.wake(looks),
                Some(account) = self.session_ends.recv() => self.looks.request(account),
                () = self.changes.next() => self.changed(),
                Some(done) = self.tasks.join_next() => self.done(done),
                () = sleep_until(alarm.into()) => {}
            }
        }
        self.finish().await;
    }

    /// The state database was written to. What its writer has not yet made visible, as the log's sync
    /// takes long, is asked for every second for a while.
    fn changed(&mut self) {
        self.changed_at = Some(Instant::now());
        self.surveys.want(Wanted::IF_CHANGED);
    }

    fn wake(&mut self, looks: Vec<Look>) {
        for look in looks {
            match look {
                Look::Account(account) => self.looks.request_soon(account, Instant::now()),
                Look::Accounts => self.surveys.want(Wanted::SURVEY),
                Look::All => self.surveys.want(Wanted::LOOK_AT_ALL),
            }
        }
    }

    /// Does what is due by the clock.
    fn keep_time(&mut self, now: Instant) {
        if self.pulse.beats(now, self.is_busy()) {
            if !self.looks.hang(now) {
                self.notify.beat(now);
            }
            self.surveys.want(Wanted::IF_CHANGED);
            self.start_measuring(now);
        }
        if self.rescan_at <= now {
            self.rescan_at = now + self.engine.config.pairing.rescan_every.get();
            self.surveys.want(Wanted::RESCAN);
        }
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.start_sweep();
        }
    }

    /// Whether something is under way, or waits for what no wake-up tells of.
    fn is_busy(&self) -> bool {
        !self.running.is_empty()
            || self.queue.waiting() > 0
            || self.looks.is_busy()
            || self.surveys.is_wanted()
            || self.space.is_busy()
            || !self.changes.are_heard()
            || self.changed_at.is_some_and(|at| at.elapsed() < VISIBLE_WITHIN)
    }

    /// When to come round at the latest, when `now` is what the loop has gone by.
    fn next_alarm(&self, now: Instant) -> Instant {
        let alarms = [
            self.looks.next_alarm(),
            self.queue.next_retry(),
            self.telling.next(),
            Some(self.rescan_at),
            self.sweep_at,
        ];
        // What is due and can't begin, a retry without a free worker for one, must not spin the loop.
        let to_come = alarms.into_iter().flatten().filter(|at| *at > now);
        to_come.fold(self.pulse.next(self.is_busy()), Instant::min)
    }

    /// Lets running imports stop: they are queued again and nothing of them is stored.
    async fn finish(mut self) {
        tracing::info!("stopping");
        self.notify.stopping();
        for run in self.running.values() {
            run.monitor.stop();
        }
        let (tasks, engine) = (&mut self.tasks, Arc::clone(&self.engine));
        let put_back = || {
            let engine = Arc::clone(&engine);
            tokio::task::spawn_blocking(move || jobs::put_back_begun(&engine))
        };
        let all = async {
            drop(put_back().await); // it has said what failed
            while let Some(done) = tasks.join_next().await {
                if let Ok(Done::Run(run, Err(error))) = done {
                    let Queued { account, id, .. } = run.import;
                    tracing::error!(%account, import = %id, "{}", chain(&error));
                }
            }
            // What looks that were under way have begun.
            drop(put_back().await);
        };
        if tokio::time::timeout(STOP_WITHIN, all).await.is_err() {
            tracing::warn!("an import did not stop in time; it goes on at the next start");
        }
    }
}
