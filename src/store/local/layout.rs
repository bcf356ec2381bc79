//! Where the local engine keeps what: the only place that joins its paths.
//!
//! ```text
//! <data>/<account>/events/import=<import>/part-00000.parquet
//! <data>/<account>/.unfinished/import=<import>/     events being written, or cut off
//! <data>/<account>/profiles.db                      with -wal and -shm beside it
//! <data>/<account>/.profiles-unfinished.db          until the first import of profiles is committed
//! <data>/<account>/.profiles-scratch                for a moment: a file loses its name at once
//! ```
//! Unfinished events lie outside `events`, because DuckDB's `events/**/*.parquet` finds hidden
//! folders too.

use std::path::{Path, PathBuf};

use crate::account::AccountId;
use crate::import_id::ImportId;

/// One account's folder.
#[derive(Clone, Debug)]
pub struct AccountFolder(PathBuf);

impl AccountFolder {
    /// The folder of `account` below `data`.
    pub fn new(data: &Path, account: &AccountId) -> Self {
        Self(data.join(account))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// All committed events: one folder per import, a Hive partition by its name.
    pub fn events(&self) -> PathBuf {
        self.0.join("events")
    }

    /// One import's events, there once it is committed.
    pub fn events_of(&self, import: &ImportId) -> PathBuf {
        self.events().join(format!("import={import}"))
    }

    /// All events that are not committed, a folder per import; empty when no import runs.
    pub fn unfinished(&self) -> PathBuf {
        self.0.join(".unfinished")
    }

    /// One import's events before it is committed.
    pub fn unfinished_events_of(&self, import: &ImportId) -> PathBuf {
        self.unfinished().join(format!("import={import}"))
    }

    /// The profiles database.
    pub fn profiles(&self) -> PathBuf {
        self.0.join("profiles.db")
    }

    /// The moment's name of the file that an import's changes wait in.
    pub fn profiles_scratch(&self) -> PathBuf {
        self.0.join(".profiles-scratch")
    }
}

/// The `n`th file of an import's events.
pub fn part(folder: &Path, n: usize) -> PathBuf {
    folder.join(format!("part-{n:05}.parquet"))
}
