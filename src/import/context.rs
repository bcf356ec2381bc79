//! [`Context`]: the opened state database, store and folders that every task of an import uses.
//!
//! Invariant: a context never changes. Data that a task keeps between calls is in the task's own
//! folder.

use std::sync::Arc;

use crate::config::Config;
use crate::import::answer_locks::AnswerLocks;
use crate::spool::{Layout, Opener};
use crate::state::{self, State};
use crate::store::Store;

/// The configuration, and all resources that are opened with it for imports.
#[derive(Debug)]
pub struct Context {
    pub config: Arc<Config>,
    pub state: Arc<State>,
    pub store: Store,
    pub layout: Layout,
    /// Opens the files that accounts own.
    pub(super) opener: Opener,
    /// The locks for tasks that name, replace or remove answers in results/.
    pub(super) answer_locks: AnswerLocks,
}

impl Context {
    /// Opens the state database and store of `config`. Files of accounts are opened by this
    /// process.
    pub fn open(config: Arc<Config>) -> state::Result<Self> {
        let opener = Opener::in_process(&config);
        Self::with_opener(config, opener)
    }

    /// Opens the state database and store of `config`. Files of accounts are opened by `opener`.
    pub fn with_opener(config: Arc<Config>, opener: Opener) -> state::Result<Self> {
        Ok(Self {
            state: Arc::new(State::open(&config.paths.state_db())?),
            store: Store::local(config.paths.data()),
            layout: Layout::new(&config.paths),
            opener,
            answer_locks: AnswerLocks::default(),
            config,
        })
    }
}
