//! The jobs that run on blocking threads, and the result that each returns to the loop.
//!
//! Invariant: every job returns a result, even if it panics. Without one, a scan or an import would
//! occupy its slot forever.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::free_space;
use super::free_space::{Line, Room};
use super::schedule::survey::Order;
use crate::account::AccountId;
use crate::import::run::queue::Queued;
use crate::import::{Ended, Engine, IntakeError, Looked, Monitor, RunError, Survey};
use crate::import_id::ImportId;
use crate::sanitize::chain;
use crate::state::{self, activity};

/// The result of a job.
pub enum Done {
    /// `None` if it panicked.
    Survey(Option<state::Result<Option<Survey>>>),
    Look(AccountId, Result<Looked, IntakeError>),
    Run(Run, Result<Ended, RunError>),
    Sweep,
    PutBack,
    /// Whether milestones were enqueued.
    Told(bool),
    /// The free space, and how many lines were written to the activity log.
    Space(Vec<Room>, usize),
}

/// One running import.
#[derive(Clone)]
pub struct Run {
    pub import: Queued,
    pub since: Instant,
    pub monitor: Arc<Monitor>,
}

pub fn survey(engine: &Engine, order: Order) -> Done {
    Done::Survey(guarded(|| engine.survey(order.known, order.look_at_all)))
}

pub fn look(engine: &Engine, account: AccountId, may_begin: bool) -> Done {
    let looked = guarded(|| engine.look(&account, may_begin));
    Done::Look(account, looked.unwrap_or(Err(IntakeError::Panicked)))
}

pub fn run(engine: &Engine, run: Run, wake_relay: &dyn Fn()) -> Done {
    let ended = guarded(|| engine.run_guarded(&run.import.id, &run.monitor, wake_relay));
    Done::Run(run, ended.unwrap_or(Err(RunError::Panicked)))
}

/// Requeues early started imports, at the end and while the queue is held.
pub fn put_back_begun(engine: &Engine) -> Done {
    if let Some(Err(error)) = guarded(|| engine.put_back_begun()) {
        tracing::error!("cannot requeue an import that has just begun: {}", chain(&error));
    }
    Done::PutBack
}

pub fn sweep(engine: &Engine) -> Done {
    if let Some(Err(error)) = guarded(|| engine.sweep(Timestamp::now())) {
        tracing::error!("cannot sweep the spool: {}", chain(&error));
    }
    Done::Sweep
}

pub fn tell(engine: &Engine, running: &[(ImportId, Arc<Monitor>)]) -> Done {
    let told = guarded(|| engine.tell_meanwhile(running));
    if let Some(Err(error)) = &told {
        tracing::error!("cannot write progress reports: {}", chain(error));
    }
    Done::Told(matches!(told, Some(Ok(true))))
}

pub fn space(engine: &Engine, untold: Vec<Line>) -> Done {
    let rooms = free_space::measure(&free_space::folders(&engine.config));
    if untold.is_empty() {
        return Done::Space(rooms, 0);
    }
    let told = guarded(|| {
        engine.state.write(|tx| {
            untold.iter().try_for_each(|l| activity::log(tx, l.at, None, None, l.action, &l.detail))
        })
    });
    // On a full disk the write may fail; the lines then stay pending.
    Done::Space(rooms, if matches!(told, Some(Ok(()))) { untold.len() } else { 0 })
}

/// Runs `work`. `None` if it panicked; the panic message is on standard error.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    // Shared state is behind locks, whose users document what a panic leaves.
    catch_unwind(AssertUnwindSafe(work)).ok()
}

#[cfg(test)]
mod tests {
    use super::guarded;

    #[test]
    fn a_panic_is_an_answer() {
        assert_eq!(guarded(|| 1), Some(1));
        assert_eq!(guarded(|| -> i32 { panic!("a test of what a panic does") }), None);
    }
}
