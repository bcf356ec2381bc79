//! What runs on blocking threads, and what each brings back to the loop.
//!
//! Always holds: every piece of work brings something back, also when it panics; a look or an
//! import that the loop never heard of again would hold its place for ever.

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

/// What a blocking thread brings back.
pub enum Done {
    /// None: it panicked.
    Survey(Option<state::Result<Option<Survey>>>),
    Look(AccountId, Result<Looked, IntakeError>),
    Run(Run, Result<Ended, RunError>),
    Sweep,
    PutBack,
    /// Whether there is something to deliver.
    Told(bool),
    /// How much room there is, and how many lines the activity log took.
    Space(Vec<Room>, usize),
}

/// One import under way.
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

/// At the end, and while the queue is held.
pub fn put_back_begun(engine: &Engine) -> Done {
    if let Some(Err(error)) = guarded(|| engine.put_back_begun()) {
        tracing::error!("cannot queue again what has just begun: {}", chain(&error));
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
        tracing::error!("cannot tell how far imports are: {}", chain(error));
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
    // A disk that is full may not take them yet.
    Done::Space(rooms, if matches!(told, Some(Ok(()))) { untold.len() } else { 0 })
}

/// What `work` returns; none when it panicked, which has written where and why to standard error.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    // What the work shares with others is behind locks that say what a panic leaves of them.
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
