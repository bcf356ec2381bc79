//! What every step of an import needs, opened once.

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
    /// The configuration.
    pub config: Arc<Config>,
    /// The state database.
    pub state: Arc<State>,
    /// Where records go.
    pub store: Store,
    /// Where accounts' folders are.
    pub layout: Layout,
    /// Opens accounts' files.
    pub(super) opener: Opener,
    /// In which order manifests came; the watcher notes it.
    pub arrivals: Arc<Arrivals>,
    /// What the SFTP server says; empty where nobody listens.
    pub hearing: OnceLock<Arc<Hearing>>,
    memories: Mutex<Memories>,
    pub(super) empties: Empties,
    troubles: Mutex<HashMap<ImportId, Trouble>>,
    pub(super) meanwhile: Mutex<Meanwhile>,
    pub(super) begun: Mutex<HashSet<ImportId>>,
}

/// Tries of one import, one after the other, that came to nothing. Forgotten at a restart, which
/// may have been what mended the host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble {
    /// When the first of them ended.
    pub(super) since: Instant,
    /// How many there were.
    pub(super) tries: u32,
}

impl Engine {
    /// Opens what `config` names; accounts' files are opened by this process.
    pub fn open(config: Arc<Config>) -> state::Result<Self> {
        let opener = Opener::here(&config);
        Self::with_opener(config, opener)
    }

    /// Opens what `config` names; accounts' files are opened by `opener`.
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
        // What is remembered is only ever a whole entry, put in or taken out.
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes one more try of `import` that came to nothing.
    pub(super) fn trouble(&self, import: &ImportId) -> Trouble {
        let mut troubles = self.troubles();
        let new = Trouble { since: Instant::now(), tries: 0 };
        let trouble = troubles.entry(import.clone()).or_insert(new);
        trouble.tries += 1;
        *trouble
    }

    /// `import` has ended.
    pub(super) fn forget_trouble(&self, import: &ImportId) {
        self.troubles().remove(import);
    }

    /// The queue was held for so long: that doesn't count against the time for retries.
    pub fn excuse_troubles(&self, held: Duration) {
        let now = Instant::now();
        for trouble in self.troubles().values_mut() {
            trouble.since = (trouble.since + held).min(now);
        }
    }

    fn troubles(&self) -> MutexGuard<'_, HashMap<ImportId, Trouble>> {
        // An entry that a panic left behind is one try more or less.
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long to wait before `import` is tried again, which could be neither run nor answered.
    pub fn pause_after_error(&self, import: &ImportId) -> Duration {
        decide::pause(self.trouble(import).tries)
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
