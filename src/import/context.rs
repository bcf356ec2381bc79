//! The opened state database, store and folders that every step of an import uses.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::account::AccountId;
use crate::config::Config;
use crate::import_id::ImportId;
use crate::outbox::Attachments;
use crate::spool::{Arrivals, Layout, Opener, Results};
use crate::state::{self, State};
use crate::store::Store;

use super::intake::Memories;
use super::intake::empty_accounts::Empties;
use super::run::decide;
use super::run::progress_report::Meanwhile;
use super::upload_audit::Hearing;

/// The opened state database, store and folders.
#[derive(Debug)]
pub struct Engine {
    pub config: Arc<Config>,
    pub state: Arc<State>,
    pub store: Store,
    pub layout: Layout,
    /// Opens files that accounts own.
    pub(super) opener: Opener,
    /// The order in which manifests arrived, recorded by the watcher.
    pub arrivals: Arc<Arrivals>,
    /// The audit of uploads; empty until [`Engine::listen`] is called.
    pub hearing: OnceLock<Arc<Hearing>>,
    memories: Mutex<Memories>,
    pub(super) empties: Empties,
    troubles: Mutex<HashMap<ImportId, Trouble>>,
    pub(super) meanwhile: Mutex<Meanwhile>,
    pub(super) begun: Mutex<HashSet<ImportId>>,
}

/// Consecutive failed tries of one import. A restart forgets them, since it may have fixed the
/// host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble {
    /// When the first one ended.
    pub(super) since: Instant,
    pub(super) tries: u32,
}

impl Engine {
    /// Opens the state database and store of `config`. This process opens accounts' files itself.
    pub fn open(config: Arc<Config>) -> state::Result<Self> {
        let opener = Opener::in_process(&config);
        Self::with_opener(config, opener)
    }

    /// Opens the state database and store of `config`. Accounts' files are opened by `opener`.
    pub fn with_opener(config: Arc<Config>, opener: Opener) -> state::Result<Self> {
        Ok(Self {
            state: Arc::new(State::open(&config.paths.state_db())?),
            store: Store::local(config.paths.data()),
            layout: Layout::new(&config.paths),
            opener,
            arrivals: Arc::default(),
            hearing: OnceLock::new(),
            memories: Mutex::default(),
            empties: Empties::default(),
            troubles: Mutex::default(),
            meanwhile: Mutex::default(),
            begun: Mutex::default(),
            config,
        })
    }

    pub(super) fn memories(&self) -> MutexGuard<'_, Memories> {
        // Every change inserts or removes one whole entry.
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more failed try of `import`.
    pub(super) fn trouble(&self, import: &ImportId) -> Trouble {
        let mut troubles = self.troubles();
        let new = Trouble { since: Instant::now(), tries: 0 };
        let trouble = troubles.entry(import.clone()).or_insert(new);
        trouble.tries += 1;
        *trouble
    }

    /// Forgets the failed tries of `import`, which has ended.
    pub(super) fn forget_trouble(&self, import: &ImportId) {
        self.troubles().remove(import);
    }

    /// Extends every import's retry window by `held`, the time for which the queue was held.
    pub fn excuse_troubles(&self, held: Duration) {
        let now = Instant::now();
        for trouble in self.troubles().values_mut() {
            trouble.since = (trouble.since + held).min(now);
        }
    }

    fn troubles(&self) -> MutexGuard<'_, HashMap<ImportId, Trouble>> {
        // A panic leaves an entry that is at most one try off.
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a try of `import` that ended in an error. Returns the pause before the next try.
    pub fn pause_after_error(&self, import: &ImportId) -> Duration {
        decide::pause(self.trouble(import).tries)
    }

    /// Returns an opener of error files for the mails that attach them.
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
