//! The interface of the store, which every engine implements.

use std::fmt::Debug;
use std::ops::AddAssign;
use std::path::Path;

use super::error::Error;
use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::records::{Batch, Schema};
use crate::report::TsRange;

/// The counts of a committed import. The counts never change after the commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitCounts {
    pub records: u64,
    /// The number of times that an id moved from another profile to the profile of its record.
    pub moved_ids: u64,
    /// The number of profiles that lost their last id. The properties of these profiles were
    /// passed on, and the profiles were removed.
    pub absorbed_profiles: u64,
    /// The range of the events' times. `None` if the import has no events.
    pub ts_range: Option<TsRange>,
}

impl AddAssign for CommitCounts {
    fn add_assign(&mut self, other: Self) {
        self.records += other.records;
        self.moved_ids += other.moved_ids;
        self.absorbed_profiles += other.absorbed_profiles;
        self.ts_range = TsRange::merge(self.ts_range, other.ts_range);
    }
}

/// Stores events and profiles.
///
/// Invariant: the records of an import are invisible before [`ImportWriter::commit`], and all of
/// them are visible when it returns. A second commit of the same import has no effect.
pub trait Engine: Debug + Send + Sync {
    /// Begins `import`, or finds that an earlier run committed it ([`ImportWriter::is_committed`]).
    /// Removes the leftovers of a crashed run of `import`.
    ///
    /// There is one writer per import and, for profiles, one per account at a time. A second one
    /// waits up to ten seconds for the first, then fails.
    fn begin(
        &self,
        account: &AccountId,
        import: &ImportId,
        schema: &Schema,
    ) -> Result<Box<dyn ImportWriter>, Error>;

    /// Returns the counts of `import`, or `None` if no run committed the import. Makes the commit
    /// durable before the function returns. Changes nothing else.
    fn commit_counts(
        &self,
        account: &AccountId,
        import: &ImportId,
    ) -> Result<Option<CommitCounts>, Error>;

    /// Removes the leftovers of a crashed run of `import`. The import must never begin again.
    /// Committed records stay.
    fn abandon(&self, account: &AccountId, import: &ImportId) -> Result<(), Error>;

    /// Returns the stored imports of all accounts, in no particular order. An import may be listed
    /// twice.
    fn imports(&self) -> Result<Vec<ImportId>, Error>;

    /// Copies the data of `account` into the new folder `to`. Events are copied by import, without
    /// the imports for which `leave_out` is true. Profiles are a snapshot of all committed imports.
    /// Returns whether the account has any data.
    fn export(
        &self,
        account: &AccountId,
        to: &Path,
        leave_out: &dyn Fn(&ImportId) -> bool,
    ) -> Result<bool, Error>;

    /// Removes all stored data of `account`. No import of the account may be running. After an
    /// error, a second call continues the removal.
    fn erase(&self, account: &AccountId) -> Result<(), Error>;
}

/// Writes the records of one import. If the writer is dropped before [`ImportWriter::commit`], the
/// records are discarded.
pub trait ImportWriter: Debug + Send {
    /// Returns whether an earlier run committed this import. If so, [`ImportWriter::push`] discards
    /// its records, and [`ImportWriter::commit`] returns the counts of the earlier commit.
    fn is_committed(&self) -> bool {
        false
    }

    /// Adds accepted records, in file order. They may be written later or on another thread.
    ///
    /// # Errors
    /// The error may be that of an earlier batch. After an error the writer can only be dropped,
    /// unless the batch's schema is not the import's ([`Error::Mismatch`]).
    fn push(&mut self, batch: Batch) -> Result<(), Error>;

    /// Makes all pushed records durable, and makes them visible in one step.
    ///
    /// # Errors
    /// After an error, the import may or may not be committed. [`Engine::begin`] finds out which
    /// is the case.
    fn commit(self: Box<Self>) -> Result<CommitCounts, Error>;
}

/// The writer for an import that an earlier run has committed. It discards all records.
#[derive(Debug)]
pub struct CommittedImport(pub CommitCounts);

impl ImportWriter for CommittedImport {
    fn is_committed(&self) -> bool {
        true
    }

    fn push(&mut self, _: Batch) -> Result<(), Error> {
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<CommitCounts, Error> {
        Ok(self.0)
    }
}
