//! The local engine: events in Parquet files, profiles in SQLite, one folder per account.
//!
//! Separate threads write events and profiles, in pieces of bounded size. Therefore memory does not
//! grow with the size of the import.

mod account_data;
#[cfg(test)]
pub mod contract;

mod events;
pub mod layout;
pub mod profiles;

use std::path::{Path, PathBuf};

use self::layout::AccountFolder;
use super::engine::{CommitCounts, Engine, ImportWriter};
use super::error::Error;
use super::profiles::batch::limits::MergeLimits;
use crate::account::AccountId;
use crate::files::durable;
use crate::import_id::ImportId;
use crate::records::Schema;

/// A local store. It has one folder per account below the folder `data`.
#[derive(Debug)]
pub struct LocalStore {
    data: PathBuf,
}

impl LocalStore {
    /// Returns the store below the folder `data`. The folder may be missing.
    pub fn new(data: PathBuf) -> Self {
        Self { data }
    }
}

impl Engine for LocalStore {
    fn begin(
        &self,
        account: &AccountId,
        import: &ImportId,
        schema: &Schema,
    ) -> Result<Box<dyn ImportWriter>, Error> {
        let folder = AccountFolder::new(&self.data, account);
        match schema {
            Schema::Event(schema) => events::begin(&folder, account, import, schema),
            Schema::Profile(properties) => {
                profiles::begin(&folder, import, properties, MergeLimits::default())
            }
        }
    }

    fn commit_counts(
        &self,
        account: &AccountId,
        import: &ImportId,
    ) -> Result<Option<CommitCounts>, Error> {
        let folder = AccountFolder::new(&self.data, account);
        match events::commit_counts(&folder, import)? {
            None => profiles::commit_counts(&folder, import),
            counts => Ok(counts),
        }
    }

    fn abandon(&self, account: &AccountId, import: &ImportId) -> Result<(), Error> {
        let folder = AccountFolder::new(&self.data, account);
        durable::remove_folder(&folder.unfinished_events_of(import))?;
        // A crashed import of profiles leaves a file only if it was building a new database. In an
        // existing database, SQLite rolls back its transaction.
        profiles::abandon(&folder)
    }

    fn imports(&self) -> Result<Vec<ImportId>, Error> {
        account_data::list_imports(&self.data)
    }

    fn export(
        &self,
        account: &AccountId,
        to: &Path,
        leave_out: &dyn Fn(&ImportId) -> bool,
    ) -> Result<bool, Error> {
        account_data::export(&self.data, account, to, leave_out)
    }

    fn erase(&self, account: &AccountId) -> Result<(), Error> {
        account_data::erase(&self.data, account)
    }
}
