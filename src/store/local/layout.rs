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

/// The folder of one account in the local store.
#[derive(Clone, Debug)]
pub struct AccountFolder(PathBuf);

impl AccountFolder {
    pub fn new(data: &Path, account: &AccountId) -> Self {
        Self(data.join(account))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the folder of all committed events. It has one Hive partition per import.
    pub fn events(&self) -> PathBuf {
        self.0.join("events")
    }

    /// Returns the folder of the committed events of one import.
    pub fn events_of(&self, import: &ImportId) -> PathBuf {
        self.events().join(format!("import={import}"))
    }

    /// Returns the folder of uncommitted events, which has one folder per import. It is empty if
    /// no import runs.
    pub fn unfinished(&self) -> PathBuf {
        self.0.join(".unfinished")
    }

    /// Returns the folder of the uncommitted events of one import.
    pub fn unfinished_events_of(&self, import: &ImportId) -> PathBuf {
        self.unfinished().join(format!("import={import}"))
    }

    pub fn profiles(&self) -> PathBuf {
        self.0.join("profiles.db")
    }

    /// Returns the path under which the spill file is created, before the file is unlinked.
    pub fn profiles_spill(&self) -> PathBuf {
        self.0.join(".profiles-scratch")
    }
}

/// Returns the path of the `n`th file with events of an import.
pub fn part(folder: &Path, n: usize) -> PathBuf {
    folder.join(format!("part-{n:05}.parquet"))
}
