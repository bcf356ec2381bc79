//! The store: where accepted records go, exactly once.
//!
//! A [`Store`] is one of several engines; the programs choose it, and one contract suite
//! (`contract.rs`) holds for every engine. It knows records, accounts and import ids, and nothing
//! of imports' states, of the state database or of the spool. What always holds: nothing of an
//! import is visible before [`Writer::commit`] returns, all of it is afterwards, and committing
//! the same import again changes nothing.

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

/// An engine that keeps events and profiles.
#[derive(Clone, Debug)]
pub enum Store {
    /// Files on this machine: events in Parquet, profiles in SQLite.
    Local(local::LocalStore),
}

/// What a committed import came to in the store. The same every time it is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Records stored.
    pub records: u64,
    /// Profile ids that led to another profile before, and now lead to their record's.
    pub moved_ids: u64,
}

/// One import on its way into the store. Dropped before [`Writer::commit`], it leaves nothing.
#[derive(Debug)]
pub struct Writer(Engine);

#[derive(Debug)]
enum Engine {
    Local(local::LocalWriter),
}

impl Store {
    /// The local engine, with one folder per account below `data`. Nothing is made before
    /// [`Store::begin`].
    pub fn local(data: PathBuf) -> Self {
        Self::Local(local::LocalStore::new(data))
    }

    /// Begins `import`, or finds that an earlier run committed it ([`Writer::is_committed`]).
    /// What a crashed run of it left behind is removed.
    ///
    /// One writer per import and, for profiles, one per account at a time: a second one waits
    /// for the first, for ten seconds, and then fails.
    ///
    /// # Errors
    /// The account's folders or its profiles can't be made or opened.
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

    /// What `import` came to in the store, if an earlier run committed it. Changes nothing; on
    /// return a commit that was found is durable.
    ///
    /// # Errors
    /// It can't be found out.
    pub fn committed(
        &self,
        account: &AccountId,
        import: &ImportId,
    ) -> Result<Option<Committed>, Error> {
        match self {
            Self::Local(store) => store.committed(account, import),
        }
    }

    /// Removes what a crashed run of `import` left behind, when it will not begin again. What it
    /// committed stays.
    ///
    /// # Errors
    /// It can't be removed.
    pub fn abandon(&self, account: &AccountId, import: &ImportId) -> Result<(), Error> {
        match self {
            Self::Local(store) => store.abandon(account, import),
        }
    }
}

impl Store {
    /// The imports that it holds records of, of all accounts, in no order; one may come twice.
    ///
    /// # Errors
    /// Its folders or databases can't be read.
    pub fn imports(&self) -> Result<Vec<ImportId>, Error> {
        match self {
            Self::Local(store) => store.imports(),
        }
    }

    /// Copies what it holds of `account` into the new folder `to`: whole imports, without those
    /// that `leave_out` names. Profiles are those of one moment, with all that is in them by then.
    /// Returns whether it holds anything.
    ///
    /// # Errors
    /// It can't be read, or `to` can't be written.
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

    /// Removes all that it holds of `account`. No import of the account may run.
    ///
    /// # Errors
    /// It can't be removed; done again, it goes on.
    pub fn erase(&self, account: &AccountId) -> Result<(), Error> {
        match self {
            Self::Local(store) => store.erase(account),
        }
    }
}

impl Writer {
    /// Whether an earlier run committed this import: [`Writer::push`] then discards, and
    /// [`Writer::commit`] returns what the earlier commit did.
    pub fn is_committed(&self) -> bool {
        match &self.0 {
            Engine::Local(writer) => writer.is_committed(),
        }
    }

    /// Takes accepted records, in file order. It may write them at once, later, or on another
    /// thread; an error can therefore come from records pushed earlier.
    ///
    /// # Errors
    /// The records can't be written; the writer is then good for dropping only. Or the batch is
    /// not of the schema that the import began with.
    pub fn push(&mut self, batch: Batch) -> Result<(), Error> {
        match &mut self.0 {
            Engine::Local(writer) => writer.push(batch),
        }
    }

    /// Makes everything pushed visible at once, and durable before it returns.
    ///
    /// # Errors
    /// The records can't be written. It is then not known whether the import is committed: begin
    /// it again to find out.
    pub fn commit(self) -> Result<Committed, Error> {
        match self.0 {
            Engine::Local(writer) => writer.commit(),
        }
    }
}
