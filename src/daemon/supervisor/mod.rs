//! The supervisor: the loop that turns wake-ups into scans and imports, and feeds the watchdog.
//!
//! The supervisor decides nothing about files or records. The schedules and the queue decide what
//! is next, `dispatch` starts it on a blocking thread, and `completed` handles its result. The loop
//! never waits for a disk or a lock (setting an inotify watch resolves one path). If the loop
//! stops, the watchdog should therefore end the process; the same is true if all scans hang.

mod completed;
mod dispatch;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::free_space::{self, FreeSpace};
use super::jobs::{self, ActiveRun, JobResult};
use super::schedule::intake::IntakeSchedule;
use super::schedule::progress::ProgressSchedule;
use super::schedule::survey::{SurveyRequest, SurveySchedule};
use super::schedule::tick::Tick;
use super::state_changes::StateChanges;
use super::systemd::{self, Systemd};
use super::watcher::AccountWatcher;
use crate::account::AccountId;
use crate::import::{Importer, Queue, Queued};
use crate::sanitize::chain;
use crate::spool::{ScanTarget, Watcher};

/// The time that running imports get to stop at SIGTERM. With two more seconds for mail and
/// webhooks, the total is below the unit's TimeoutStopSec.
const STOP_WITHIN: Duration = Duration::from_secs(7);
/// On a working disk, a commit becomes visible within this time after its write to the log.
const VISIBLE_WITHIN: Duration = Duration::from_secs(5);

/// The state of the supervisor's loop.
pub struct Supervisor {
    importer: Arc<Importer>,
    intake: IntakeSchedule,
    queue: Queue,
    running: HashMap<AccountId, ActiveRun>,
    tasks: JoinSet<JobResult>,
    wake_relay: Arc<tokio::sync::Notify>,
    systemd: Systemd,
    surveys: SurveySchedule,
    rescan_at: Instant,
    /// The time of the next sweep. `None` while a sweep is running.
    sweep_at: Option<Instant>,
    progress: ProgressSchedule,
    watcher: AccountWatcher,
    /// Receives each account with a session that changed files and has ended.
    session_ends: UnboundedReceiver<AccountId>,
    state_changes: StateChanges,
    /// The time of the last write to the state database.
    changed_at: Option<Instant>,
    free_space: FreeSpace,
    /// Whether imports that began with their claim are being requeued.
    is_requeuing: bool,
    tick: Tick,
}

impl Supervisor {
    pub fn new(
        importer: Arc<Importer>,
        watcher: Watcher,
        session_ends: UnboundedReceiver<AccountId>,
        wake_relay: Arc<tokio::sync::Notify>,
        systemd: Systemd,
    ) -> Self {
        let config = &importer.context.config;
        let progress = ProgressSchedule::new(config.milestones.still_processing_every.get());
        let rescan_at = Instant::now() + config.pairing.rescan_every.get();
        let free_space = FreeSpace::new(config.imports.free_space_floor);
        let state_changes = StateChanges::watch(&config.paths.state_db());
        let tick = Tick::new(Instant::now(), systemd.watchdog());
        Self {
            importer,
            free_space,
            is_requeuing: false,
            intake: IntakeSchedule::default(),
            queue: Queue::default(),
            running: HashMap::new(),
            tasks: JoinSet::new(),
            wake_relay,
            systemd,
            surveys: SurveySchedule::default(),
            rescan_at,
            sweep_at: Some(Instant::now()),
            progress,
            watcher: AccountWatcher::new(watcher),
            session_ends,
            state_changes,
            changed_at: None,
            tick,
        }
    }

    /// Runs until `stop` resolves, then waits until running imports have stopped.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let folders = free_space::folders(&self.importer.context.config);
        self.handle_space(&free_space::measure(&folders), 0);
        // The first survey sets the watches before the daemon reports "ready". Therefore later
        // uploads are noticed immediately.
        self.surveys.request(SurveyRequest::SCAN_ALL);
        if let Some(order) = self.surveys.begin(Instant::now()) {
            self.handle(Ok(jobs::survey(&self.importer, order.known, order.scan_all)));
        }
        self.systemd.ready();
        loop {
            let now = Instant::now();
            self.keep_time(now);
            self.start_work(now);
            let runs: Vec<_> = self.running.values().collect();
            let status = systemd::describe(&runs, self.queue.waiting(), self.watcher.watched());
            self.systemd.status(self.free_space.explain(status));
            let alarm = self.next_alarm(now);
            tokio::select! {
                () = &mut stop => break,
                wake_ups = self.watcher.next() => self.wake(wake_ups),
                Some(account) = self.session_ends.recv() => self.intake.request(account),
                () = self.state_changes.next() => self.state_changed(),
                Some(result) = self.tasks.join_next() => self.handle(result),
                () = sleep_until(alarm.into()) => {}
            }
        }
        self.finish().await;
    }

    /// Requests a survey after a write to the state database. The commit may not be visible yet,
    /// because syncing the log takes long; the loop then checks every second for a while.
    fn state_changed(&mut self) {
        self.changed_at = Some(Instant::now());
        self.surveys.request(SurveyRequest::IF_CHANGED);
    }

    fn wake(&mut self, wake_ups: Vec<ScanTarget>) {
        for wake_up in wake_ups {
            match wake_up {
                ScanTarget::Account(account) => self.intake.request_soon(account, Instant::now()),
                ScanTarget::Accounts => self.surveys.request(SurveyRequest::SURVEY),
                ScanTarget::All => self.surveys.request(SurveyRequest::SCAN_ALL),
            }
        }
    }

    /// Starts all work that is due at `now`.
    fn keep_time(&mut self, now: Instant) {
        if self.tick.restart_if_due(now, self.is_busy()) {
            if !self.intake.check_hang(now) {
                self.systemd.feed_watchdog(now);
            }
            self.surveys.request(SurveyRequest::IF_CHANGED);
            self.start_measurement(now);
        }
        if self.rescan_at <= now {
            self.rescan_at = now + self.importer.context.config.pairing.rescan_every.get();
            self.surveys.request(SurveyRequest::RESCAN);
        }
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.start_sweep();
        }
    }

    /// Returns whether work is running, or is waiting for a condition that causes no wake-up.
    fn is_busy(&self) -> bool {
        !self.running.is_empty()
            || self.queue.waiting() > 0
            || self.intake.is_busy()
            || self.surveys.is_requested()
            || self.free_space.is_busy()
            || !self.state_changes.is_working()
            || self.changed_at.is_some_and(|at| at.elapsed() < VISIBLE_WITHIN)
    }

    /// Returns the time at which the next round of the loop is due. `now` is the time of the
    /// current round.
    fn next_alarm(&self, now: Instant) -> Instant {
        let alarms = [
            self.intake.next_alarm(),
            self.queue.next_retry(),
            self.progress.next(),
            Some(self.rescan_at),
            self.sweep_at,
        ];
        // A due retry that can't begin, because no slot is free, must not make the loop run without
        // a pause.
        let to_come = alarms.into_iter().flatten().filter(|at| *at > now);
        to_come.fold(self.tick.next(self.is_busy()), Instant::min)
    }

    /// Stops running imports. They are requeued, and none of their records are stored.
    async fn finish(mut self) {
        tracing::info!("stopping");
        self.systemd.stopping();
        for run in self.running.values() {
            run.monitor.stop();
        }
        let (tasks, importer) = (&mut self.tasks, Arc::clone(&self.importer));
        let requeue = || {
            let importer = Arc::clone(&importer);
            tokio::task::spawn_blocking(move || jobs::requeue_early_starts(&importer))
        };
        let all = async {
            // The job logs its own errors.
            drop(requeue().await);
            while let Some(result) = tasks.join_next().await {
                if let Ok(JobResult::Run(run, Err(error))) = result {
                    let Queued { account, id, .. } = run.import;
                    tracing::error!(%account, import = %id, "{}", chain(&error));
                }
            }
            // The imports that the last scans have begun are requeued.
            drop(requeue().await);
        };
        if tokio::time::timeout(STOP_WITHIN, all).await.is_err() {
            tracing::warn!("an import did not stop in time; it runs again at the next start");
        }
    }
}
