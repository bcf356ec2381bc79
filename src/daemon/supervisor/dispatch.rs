//! Starts jobs on blocking threads.
//!
//! Invariant: nothing is claimed and no import begins while the queue is held, or while the last
//! measurement of free space is too old.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Supervisor;
use crate::account::AccountId;
use crate::daemon::jobs::{self, ActiveRun, JobResult};
use crate::daemon::schedule::run_slots;
use crate::import::{Importer, Weight};

impl Supervisor {
    /// Starts every job that can begin at `now`.
    pub(super) fn start_work(&mut self, now: Instant) {
        self.start_survey(now);
        self.intake.enqueue_due(now);
        if !self.free_space.is_held() && self.is_space_known(now) {
            self.start_imports(now);
            self.start_scans(now);
        }
        if self.free_space.is_held() {
            self.start_requeuing();
        }
        self.start_progress_round(now);
    }

    /// While the queue is held, requeues imports that began with their claim and don't run yet.
    fn start_requeuing(&mut self) {
        if self.importer.has_early_starts() && !std::mem::replace(&mut self.is_requeuing, true) {
            self.spawn(jobs::requeue_early_starts);
        }
    }

    /// Returns whether free space was measured recently. If not, and a scan or an import waits to
    /// begin, starts a measurement.
    fn is_space_known(&mut self, now: Instant) -> bool {
        let is_known = self.free_space.is_known(now);
        if !is_known && (self.intake.is_busy() || self.queue.waiting() > 0) {
            self.start_measurement(now);
        }
        is_known
    }

    pub(super) fn start_measurement(&mut self, now: Instant) {
        if let Some(pending) = self.free_space.begin(now) {
            self.spawn(move |importer| jobs::measure_space(importer, pending));
        }
    }

    fn start_survey(&mut self, now: Instant) {
        if let Some(order) = self.surveys.begin(now) {
            self.spawn(move |importer| jobs::survey(importer, order.known, order.scan_all));
        }
    }

    fn start_scans(&mut self, now: Instant) {
        while let Some(account) = self.intake.begin_next(now) {
            let may_begin = self.may_begin(&account);
            self.spawn(move |importer| jobs::scan(importer, account, may_begin));
        }
    }

    /// Returns whether a light import of `account`, which is about to be scanned, may begin with
    /// its claim. This requires that no import waits, and that a slot stays free even if every
    /// other running scan takes one.
    fn may_begin(&self, account: &AccountId) -> bool {
        let workers = self.importer.context.config.imports.worker_count();
        let scans = (1..self.intake.running()).map(|_| (Weight::Light, Duration::ZERO));
        self.queue.waiting() == 0
            && !self.running.contains_key(account)
            && run_slots::is_free(workers, Weight::Light, weights(&self.running).chain(scans))
    }

    fn start_imports(&mut self, now: Instant) {
        let workers = self.importer.context.config.imports.worker_count();
        while let Some(import) = self
            .queue
            .start_next(now, |weight| run_slots::is_free(workers, weight, weights(&self.running)))
        {
            let run = ActiveRun { import, since: Instant::now(), monitor: Arc::default() };
            self.running.insert(run.import.account.clone(), run.clone());
            let wake_relay = Arc::clone(&self.wake_relay);
            self.spawn(move |importer| jobs::run(importer, run, &|| wake_relay.notify_one()));
        }
    }

    pub(super) fn start_sweep(&mut self) {
        self.sweep_at = None;
        self.spawn(jobs::sweep);
    }

    fn start_progress_round(&mut self, now: Instant) {
        let imports = self.running.len() + self.queue.waiting();
        if self.progress.begin(now, imports) {
            let runs = self.running.values();
            let running: Vec<_> =
                runs.map(|r| (r.import.id.clone(), Arc::clone(&r.monitor))).collect();
            self.spawn(move |importer| jobs::report_progress(importer, &running));
        }
    }

    /// Starts a job on a blocking thread.
    fn spawn(&mut self, job: impl FnOnce(&Importer) -> JobResult + Send + 'static) {
        let importer = Arc::clone(&self.importer);
        self.tasks.spawn_blocking(move || job(&importer));
    }
}

/// Returns the weight and running time of each running import.
fn weights(running: &HashMap<AccountId, ActiveRun>) -> impl Iterator<Item = (Weight, Duration)> {
    running.values().map(|run| (run.import.weight, run.since.elapsed()))
}
