//! The supervisor: the loop that turns wake-ups into scans and imports, and feeds the watchdog.
//!
//! It decides nothing about files or records. `Looks` and `Queue` decide what is next, `starting`
//! starts it on a blocking thread, and `done` handles its result. Nothing here waits for a disk or
//! a lock (setting an inotify watch resolves one path). So if the loop stops, the watchdog should
//! end the process; the same holds if all scans hang.

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
use crate::spool::{ScanTarget, Watcher};

/// How long running imports get to stop at SIGTERM. With two more seconds for mail and webhooks it
/// is below the unit's TimeoutStopSec.
const STOP_WITHIN: Duration = Duration::from_secs(7);
/// On a working disk, a commit is visible within this time after its write to the log.
const VISIBLE_WITHIN: Duration = Duration::from_secs(5);

/// The state of the loop.
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
    /// `None` while one is running.
    sweep_at: Option<Instant>,
    telling: Telling,
    ears: Ears,
    /// Accounts whose session has ended and had changed files.
    session_ends: UnboundedReceiver<AccountId>,
    changes: Changes,
    /// When the state database was last written to.
    changed_at: Option<Instant>,
    space: Space,
    /// Whether early started imports are being requeued.
    putting_back: bool,
    pulse: Pulse,
}

impl Supervisor {
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
        // The first survey sets the watches before "ready": later uploads are noticed immediately.
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

    /// Requests a survey after a write to the state database. The commit may not be visible yet,
    /// because syncing the log takes long; the loop then checks every second for a while.
    fn changed(&mut self) {
        self.changed_at = Some(Instant::now());
        self.surveys.want(Wanted::IF_CHANGED);
    }

    fn wake(&mut self, looks: Vec<ScanTarget>) {
        for look in looks {
            match look {
                ScanTarget::Account(account) => self.looks.request_soon(account, Instant::now()),
                ScanTarget::Accounts => self.surveys.want(Wanted::SURVEY),
                ScanTarget::All => self.surveys.want(Wanted::LOOK_AT_ALL),
            }
        }
    }

    /// Starts everything that is due by the clock.
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

    /// Whether work is running, or waiting for a condition that causes no wake-up.
    fn is_busy(&self) -> bool {
        !self.running.is_empty()
            || self.queue.waiting() > 0
            || self.looks.is_busy()
            || self.surveys.is_wanted()
            || self.space.is_busy()
            || !self.changes.are_heard()
            || self.changed_at.is_some_and(|at| at.elapsed() < VISIBLE_WITHIN)
    }

    /// Returns when the next round is due. `now` is the time that the current round has used.
    fn next_alarm(&self, now: Instant) -> Instant {
        let alarms = [
            self.looks.next_alarm(),
            self.queue.next_retry(),
            self.telling.next(),
            Some(self.rescan_at),
            self.sweep_at,
        ];
        // A due retry that can't begin, because no slot is free, must not spin the loop.
        let to_come = alarms.into_iter().flatten().filter(|at| *at > now);
        to_come.fold(self.pulse.next(self.is_busy()), Instant::min)
    }

    /// Stops running imports: they are requeued, and nothing of them is stored.
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
            drop(put_back().await); // it logs its own errors
            while let Some(done) = tasks.join_next().await {
                if let Ok(Done::Run(run, Err(error))) = done {
                    let Queued { account, id, .. } = run.import;
                    tracing::error!(%account, import = %id, "{}", chain(&error));
                }
            }
            // Requeues what the last scans have begun.
            drop(put_back().await);
        };
        if tokio::time::timeout(STOP_WITHIN, all).await.is_err() {
            tracing::warn!("an import did not stop in time; it runs again at the next start");
        }
    }
}
