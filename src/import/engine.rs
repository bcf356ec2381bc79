//! What every step of an import needs, opened once.

use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::account::AccountId;
use crate::config::Config;
use crate::outbox::Attachments;
use crate::spool::{Arrivals, Layout, Results};
use crate::state::{self, State};
use crate::store::Store;

use super::intake::Memories;

/// The opened state database, store and folders.
#[derive(Debug)]
pub struct Engine {
    /// The configuration.
    pub config: Arc<Config>,
    /// The state database.
    pub state: Arc<State>,
    /// Where records go.
    pub store: Store,
    /// Where accounts' folders are.
    pub layout: Layout,
    /// In which order manifests came; the watcher notes it.
    pub arrivals: Arc<Arrivals>,
    memories: Mutex<Memories>,
}

impl Engine {
    /// Opens what `config` names.
    ///
    /// # Errors
    /// The state database's.
    pub fn open(config: Arc<Config>) -> state::Result<Self> {
        Ok(Self {
            state: Arc::new(State::open(&config.paths.state_db())?),
            store: Store::local(config.paths.data()),
            layout: Layout::new(&config.paths),
            arrivals: Arc::default(),
            memories: Mutex::default(),
            config,
        })
    }

    pub(super) fn memories(&self) -> MutexGuard<'_, Memories> {
        // What is remembered is only ever a whole entry, put in or taken out.
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens error files for the mails that carry them.
    pub fn attachments(&self) -> Arc<dyn Attachments> {
        Arc::new(ErrorFiles(self.layout.clone()))
    }
}

struct ErrorFiles(Layout);

impl Attachments for ErrorFiles {
    fn open(&self, account: &str, name: &str) -> io::Result<(Box<dyn Read>, u64)> {
        let account: AccountId = account.parse().map_err(io::Error::other)?;
        let file: File = Results::open(&self.0, &account)
            .and_then(|r| r.read(name))
            .map_err(io::Error::other)?;
        let length = file.metadata()?.len();
        Ok((Box::new(file), length))
    }
}
