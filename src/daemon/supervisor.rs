//! The working loop: wake-ups in, looks and imports out, watchdog and status on the way.
//!
//! It decides nothing about files or records; `Looks` and `Queue` say what is next, `Engine` does
//! it on a blocking thread, and the loop carries results back. Nothing blocking runs here, so a
//! loop that has stopped coming round is one the watchdog should end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep_until;

use super::logging::chain;
use super::looks::Looks;
use super::notify::Notify;
use crate::account::AccountId;
use crate::import::queue::Queue;
use crate::import::{Ended, Engine, IntakeError, Looked, Monitor, RunError};
use crate::import_id::ImportId;
use crate::spool::{Look, WatchError, Watcher};

/// How many accounts are looked at side by side.
const LOOKS_SIDE_BY_SIDE: usize = 2;
/// How often the loop comes round when nothing happens.
const TICK: Duration = Duration::from_secs(1);
/// How long running imports get to stop at SIGTERM, below the unit's TimeoutStopSec.
const STOP_WITHIN: Duration = Duration::from_secs(8);
/// An account that could not be looked at is tried again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// What a blocking thread brings back.
enum Done {
    Look(AccountId, Result<Looked, IntakeError>),
    Run(Run, Result<Ended, RunError>),
}

/// One import under way.
#[derive(Clone)]
struct Run {
    account: AccountId,
    id: ImportId,
    n: i64,
    monitor: Arc<Monitor>,
}

/// The working loop's state.
pub struct Supervisor {
    engine: Arc<Engine>,
    looks: Looks,
    queue: Queue,
    running: HashMap<AccountId, Run>,
    looking: usize,
    tasks: JoinSet<Done>,
    wake_relay: Arc<tokio::sync::Notify>,
    notify: Notify,
    data_version: Option<i64>,
    last_scan: Instant,
    watcher: Watcher,
    watched: usize,
}

impl Supervisor {
    /// With nothing under way yet.
    pub fn new(
        engine: Arc<Engine>,
        watcher: Watcher,
        wake_relay: Arc<tokio::sync::Notify>,
        notify: Notify,
    ) -> Self {
        Self {
            engine,
            looks: Looks::default(),
            queue: Queue::default(),
            running: HashMap::new(),
            looking: 0,
            tasks: JoinSet::new(),
            wake_relay,
            notify,
            data_version: None,
            last_scan: Instant::now(),
            watcher,
            watched: 0,
        }
    }

    /// Runs until `stop` resolves, then lets running imports stop.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        self.follow(true);
        self.reload_queue();
        self.notify.ready();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.start_work();
            self.notify.status(self.status());
            let alarm = self.next_alarm();
            tokio::select! {
                () = &mut stop => break,
                looks = self.watcher.next() => self.wake(looks),
                Some(done) = self.tasks.join_next() => self.done(done),
                () = sleep_until(alarm.into()) => {}
                _ = tick.tick() => self.tick(),
            }
        }
        self.finish().await;
    }

    fn wake(&mut self, looks: Result<Vec<Look>, WatchError>) {
        let looks = looks.unwrap_or_else(|error| {
            tracing::error!("{}", chain(&error));
            vec![Look::All]
        });
        for look in looks {
            match look {
                Look::Account(account) => self.looks.request(account),
                Look::Accounts => self.follow(false),
                Look::All => self.follow(true),
            }
        }
    }

    /// Watches the accounts there are now, and looks at those whose watch is new, or at all.
    fn follow(&mut self, look_at_all: bool) {
        let accounts = match self.engine.accounts() {
            Ok(accounts) => accounts,
            Err(error) => return tracing::error!("cannot list the accounts: {}", chain(&error)),
        };
        let followed = self.watcher.follow(accounts.iter().cloned());
        for error in &followed.errors {
            tracing::error!("{}", chain(error));
        }
        self.watched = accounts.len();
        let wanted = if look_at_all { accounts } else { followed.look };
        wanted.into_iter().for_each(|account| self.looks.request(account));
    }

    /// Takes up what other processes changed: `import retry`, and what a crash left.
    fn reload_queue(&mut self) {
        match self.engine.queued() {
            Ok(imports) => {
                for (n, id, account) in imports {
                    self.queue.add(&account, n, &id);
                }
            }
            Err(error) => tracing::error!("cannot read the queue: {}", chain(&error)),
        }
    }

    fn tick(&mut self) {
        self.notify.beat();
        if self.last_scan.elapsed() >= self.engine.config.pairing.rescan_every.get() {
            self.last_scan = Instant::now();
            self.follow(true);
        }
        let version = self.engine.state.data_version().ok();
        if version != self.data_version {
            self.data_version = version;
            self.follow(false);
            self.reload_queue();
            self.wake_relay.notify_one();
        }
    }

    fn start_work(&mut self) {
        self.looks.ring(Instant::now());
        while self.looking < LOOKS_SIDE_BY_SIDE
            && let Some(account) = self.looks.next()
        {
            self.looking += 1;
            let engine = Arc::clone(&self.engine);
            self.tasks.spawn_blocking(move || {
                let looked = engine.look(&account);
                Done::Look(account, looked)
            });
        }
        while self.running.len() < self.engine.config.imports.worker_count()
            && let Some(next) = self.queue.next(Instant::now())
        {
            let run =
                Run { account: next.account, id: next.id, n: next.n, monitor: Arc::default() };
            self.running.insert(run.account.clone(), run.clone());
            let engine = Arc::clone(&self.engine);
            let wake_relay = Arc::clone(&self.wake_relay);
            self.tasks.spawn_blocking(move || {
                let ended = engine.run_guarded(&run.id, &run.monitor, &|| wake_relay.notify_one());
                Done::Run(run, ended)
            });
        }
    }

    fn done(&mut self, done: Result<Done, JoinError>) {
        match done {
            Ok(Done::Look(account, looked)) => self.looked(account, looked),
            Ok(Done::Run(run, ended)) => self.ended(run, ended),
            // Both kinds of work catch their own panics; only the runtime's end comes here.
            Err(error) => tracing::error!("a thread was lost: {error}"),
        }
    }

    fn looked(&mut self, account: AccountId, looked: Result<Looked, IntakeError>) {
        self.looking -= 1;
        let again = match looked {
            Ok(looked) => {
                for (n, id) in looked.queued {
                    self.queue.add(&account, n, &id);
                }
                looked.again
            }
            Err(error) => {
                tracing::error!(%account, "cannot look at the account: {}", chain(&error));
                Some(LOOK_AGAIN)
            }
        };
        self.looks.done(&account, Instant::now(), again);
    }

    fn ended(&mut self, run: Run, ended: Result<Ended, RunError>) {
        self.running.remove(&run.account);
        match ended {
            Ok(Ended::Finished | Ended::Stopped) => self.queue.ended(&run.account),
            Ok(Ended::Again(pause)) => {
                self.queue.put_back(&run.account, run.n, &run.id, Instant::now() + pause);
            }
            Err(error) => {
                tracing::error!(account = %run.account, import = %run.id, "{}", chain(&error));
                self.queue.put_back(&run.account, run.n, &run.id, Instant::now() + LOOK_AGAIN);
            }
        }
        self.wake_relay.notify_one();
    }

    fn next_alarm(&self) -> Instant {
        let far = Instant::now() + TICK;
        [self.looks.next_alarm(), self.queue.next_retry()].into_iter().flatten().fold(
            far,
            |a, b| {
                // A retry that is due but finds no free worker must not spin the loop.
                if b > Instant::now() { a.min(b) } else { a }
            },
        )
    }

    fn status(&self) -> String {
        let waiting = self.queue.waiting();
        let mut runs: Vec<_> = self.running.values().collect();
        runs.sort_by_key(|run| run.n);
        let Some(first) = runs.first() else {
            return format!("{waiting} imports waiting; watching {} accounts", self.watched);
        };
        let progress = first.monitor.progress();
        let more = match runs.len() {
            1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        let share = (progress.bytes * 100).checked_div(progress.total_bytes).unwrap_or(0);
        format!(
            "Importing {} of {} ({share} %, {} records){more}; {waiting} waiting",
            first.id, first.account, progress.records
        )
    }

    /// Lets running imports stop: they are queued again and nothing of them is stored.
    async fn finish(mut self) {
        self.notify.stopping();
        for run in self.running.values() {
            run.monitor.stop();
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_WITHIN, all).await.is_err() {
            tracing::warn!("an import did not stop in time; it goes on at the next start");
        }
    }
}
