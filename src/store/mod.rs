//! The store: keeps accepted records, each exactly once.
//!
//! A [`Store`] is one of several engines, chosen by the program. Every engine passes the same
//! contract suite (`contract.rs`). The store knows records, accounts and import ids. It knows
//! nothing of import states, the state database or the spool.
//!
//! Invariant: nothing of an import is visible before [`Writer::commit`], everything is visible once
//! it returns, and committing the same import again changes nothing.

mod background;
#[cfg(test)]
mod contract;
mod error;
pub mod local;
pub mod profiles;

use std::path::{Path, PathBuf};

pub use error::Error;

use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::records::{Batch, Schema};

/// An engine that stores events and profiles.
#[derive(Clone, Debug)]
pub enum Store {
    /// Files on this machine: events in Parquet, profiles in SQLite.
    Local(local::LocalStore),
}

/// The counts of a committed import. They never change after the commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    pub records: u64,
    /// How often a record moved a profile id from another profile to its own.
    pub moved_ids: u64,
}

/// Writes one import. Dropping it before [`Writer::commit`] discards the import.
#[derive(Debug)]
pub struct Writer(Engine);

#[derive(Debug)]
enum Engine {
    Local(local::LocalWriter),
}

impl Store {
    /// Returns the local engine, with one folder per account below `data`. [`Store::begin`] creates
    /// the folders.
    pub fn local(data: PathBuf) -> Self {
        Self::Local(local::LocalStore::new(data))
    }

    /// Begins `import`, or finds that an earlier run committed it ([`Writer::is_committed`]).
    /// Removes the leftovers of a crashed run of `import`.
    ///
    /// There is one writer per import and, for profiles, one per account at a time. A second one
    /// waits up to ten seconds for the first, then fails.
    pub fn begin(
        &self,
        account: &AccountId,
        import: &ImportId,
        schema: &Schema,
    ) -> Result<Writer, Error> {
        match self {
            Self::Local(store) => {
                store.begin(account, import, schema).map(|writer| Writer(Engine::Local(writer)))
            }
        }
    }

    /// Returns the counts of `import`, `None` if no run committed it. The commit is durable when
    /// this returns. Changes nothing else.
    pub fn committed(
        &self,
        account: &AccountId,
        import: &ImportId,
    ) -> Result<Option<Committed>, Error> {
        match self {
            Self::Local(store) => store.committed(account, import),
        }
    }

    /// Removes the leftovers of a crashed run of `import`, for an import that will not begin again.
    /// Committed records stay.
    pub fn abandon(&self, account: &AccountId, import: &ImportId) -> Result<(), Error> {
        match self {
            Self::Local(store) => store.abandon(account, import),
        }
    }
}

impl Store {
    /// Lists the stored imports of all accounts, in no order. An import may be listed twice.
    pub fn imports(&self) -> Result<Vec<ImportId>, Error> {
        match self {
            Self::Local(store) => store.imports(),
        }
    }

    /// Copies the data of `account` into the new folder `to`. Events are copied by import, without
    /// the imports for which `leave_out` is true. Profiles are a snapshot of all committed imports.
    /// Returns whether the account has any data.
    pub fn export(
        &self,
        account: &AccountId,
        to: &Path,
        leave_out: &dyn Fn(&ImportId) -> bool,
    ) -> Result<bool, Error> {
        match self {
            Self::Local(store) => store.export(account, to, leave_out),
        }
    }

    /// Removes all data of `account`. No import of the account may be running. After an error, a
    /// second call continues.
    pub fn erase(&self, account: &AccountId) -> Result<(), Error> {
        match self {
            Self::Local(store) => store.erase(account),
        }
    }
}

impl Writer {
    /// Whether an earlier run committed this import. Then [`Writer::push`] discards its records,
    /// and [`Writer::commit`] returns the earlier commit's counts.
    pub fn is_committed(&self) -> bool {
        match &self.0 {
            Engine::Local(writer) => writer.is_committed(),
        }
    }

    /// Adds accepted records, in file order. They may be written later or on another thread.
    ///
    /// # Errors
    /// The error may be that of an earlier batch. After an error the writer can only be dropped,
    /// unless the batch's schema is not the import's ([`Error::Mismatch`]).
    pub fn push(&mut self, batch: Batch) -> Result<(), Error> {
        match &mut self.0 {
            Engine::Local(writer) => writer.push(batch),
        }
    }

    /// Makes all pushed records durable, and visible in one step.
    ///
    /// # Errors
    /// After an error the import may or may not be committed: [`Store::begin`] finds out.
    pub fn commit(self) -> Result<Committed, Error> {
        match self.0 {
            Engine::Local(writer) => writer.commit(),
        }
    }
}
