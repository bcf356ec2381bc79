//! The paths of the local engine. Only this module builds them.
//!
//! ```text
//! <data>/<account>/events/import=<import>/part-00000.parquet
//! <data>/<account>/.unfinished/import=<import>/     events of a running or crashed import
//! <data>/<account>/profiles.db                      with -wal and -shm beside it
//! <data>/<account>/.profiles-unfinished.db          until the first commit of profiles
//! <data>/<account>/.profiles-scratch                unlinked immediately after its creation
//! ```
//! Unfinished events are kept outside `events`, because DuckDB's glob `events/**/*.parquet` also
//! matches hidden folders.

use std::path::{Path, PathBuf};

use crate::account::AccountId;
use crate::import_id::ImportId;

/// One account's folder.
#[derive(Clone, Debug)]
pub struct AccountFolder(PathBuf);

impl AccountFolder {
    pub fn new(data: &Path, account: &AccountId) -> Self {
        Self(data.join(account))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The folder of all committed events, with a Hive partition per import.
    pub fn events(&self) -> PathBuf {
        self.0.join("events")
    }

    /// The folder of one import's committed events.
    pub fn events_of(&self, import: &ImportId) -> PathBuf {
        self.events().join(format!("import={import}"))
    }

    /// The folder of uncommitted events, with a folder per import. Empty when no import runs.
    pub fn unfinished(&self) -> PathBuf {
        self.0.join(".unfinished")
    }

    /// The folder of one import's uncommitted events.
    pub fn unfinished_events_of(&self, import: &ImportId) -> PathBuf {
        self.unfinished().join(format!("import={import}"))
    }

    pub fn profiles(&self) -> PathBuf {
        self.0.join("profiles.db")
    }

    /// The name under which the spill file is created, before it is unlinked.
    pub fn profiles_spill(&self) -> PathBuf {
        self.0.join(".profiles-scratch")
    }
}

/// The path of the `n`th file of an import's events.
pub fn part(folder: &Path, n: usize) -> PathBuf {
    folder.join(format!("part-{n:05}.parquet"))
}
