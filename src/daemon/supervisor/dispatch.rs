//! Starts jobs on blocking threads.
//!
//! Invariant: nothing is claimed and no import begins while the queue is held, or on an old
//! measurement of free space.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::{jobs, run_slots};
use super::Supervisor;
use crate::account::AccountId;
use crate::daemon::jobs::Run;
use crate::import::run::queue::Weight;

impl Supervisor {
    pub(super) fn start_work(&mut self, now: Instant) {
        self.start_survey(now);
        self.looks.ring(now);
        if !self.space.is_held() && self.knows_room(now) {
            self.start_imports(now);
            self.start_looks(now);
        }
        if self.space.is_held() {
            self.start_putting_back();
        }
        self.start_telling(now);
    }

    /// While the queue is held, requeues imports that began with their claim and don't run yet.
    fn start_putting_back(&mut self) {
        if self.engine.has_begun() && !std::mem::replace(&mut self.putting_back, true) {
            let engine = Arc::clone(&self.engine);
            self.tasks.spawn_blocking(move || jobs::put_back_begun(&engine));
        }
    }

    /// Whether free space was measured recently. If not, and something waits to begin, starts a
    /// measurement.
    fn knows_room(&mut self, now: Instant) -> bool {
        let is_known = self.space.is_known(now);
        if !is_known && (self.looks.is_busy() || self.queue.waiting() > 0) {
            self.start_measuring(now);
        }
        is_known
    }

    pub(super) fn start_measuring(&mut self, now: Instant) {
        if let Some(untold) = self.space.begin(now) {
            let engine = Arc::clone(&self.engine);
            self.tasks.spawn_blocking(move || jobs::space(&engine, untold));
        }
    }

    fn start_survey(&mut self, now: Instant) {
        if let Some(order) = self.surveys.begin(now) {
            let engine = Arc::clone(&self.engine);
            self.tasks.spawn_blocking(move || jobs::survey(&engine, order));
        }
    }

    fn start_looks(&mut self, now: Instant) {
        while let Some(account) = self.looks.next(now) {
            let may_begin = self.may_begin(&account);
            let engine = Arc::clone(&self.engine);
            self.tasks.spawn_blocking(move || jobs::look(&engine, account, may_begin));
        }
    }

    /// Whether a light import of `account`, which is about to be scanned, may begin with its claim:
    /// no import waits, and a slot stays free even if every other running scan takes one.
    fn may_begin(&self, account: &AccountId) -> bool {
        let workers = self.engine.config.imports.worker_count();
        let looks = (1..self.looks.under_way()).map(|_| (Weight::Light, Duration::ZERO));
        self.queue.waiting() == 0
            && !self.running.contains_key(account)
            && run_slots::is_free(workers, Weight::Light, in_work(&self.running).chain(looks))
    }

    fn start_imports(&mut self, now: Instant) {
        let workers = self.engine.config.imports.worker_count();
        while let Some(import) = self
            .queue
            .next(now, |weight| run_slots::is_free(workers, weight, in_work(&self.running)))
        {
            let run = Run { import, since: Instant::now(), monitor: Arc::default() };
            self.running.insert(run.import.account.clone(), run.clone());
            let engine = Arc::clone(&self.engine);
            let wake_relay = Arc::clone(&self.wake_relay);
            self.tasks.spawn_blocking(move || jobs::run(&engine, run, &|| wake_relay.notify_one()));
        }
    }

    pub(super) fn start_sweep(&mut self) {
        self.sweep_at = None;
        let engine = Arc::clone(&self.engine);
        self.tasks.spawn_blocking(move || jobs::sweep(&engine));
    }

    fn start_telling(&mut self, now: Instant) {
        let imports = self.running.len() + self.queue.waiting();
        if self.telling.begin(now, imports) {
            let runs = self.running.values();
            let running: Vec<_> =
                runs.map(|r| (r.import.id.clone(), Arc::clone(&r.monitor))).collect();
            let engine = Arc::clone(&self.engine);
            self.tasks.spawn_blocking(move || jobs::tell(&engine, &running));
        }
    }
}

/// Returns weight and running time of each running import.
fn in_work(running: &HashMap<AccountId, Run>) -> impl Iterator<Item = (Weight, Duration)> {
    running.values().map(|run| (run.import.weight, run.since.elapsed()))
}
