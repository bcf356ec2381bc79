//! The interface between the profile merge and its database. Each engine implements it.

use std::collections::BTreeSet;
use std::fmt;

use super::identity::id_index::IdIndex;
use super::rows::{IdRows, Profiles};
use crate::import_id::ImportId;
use crate::records::IdKind;
use crate::store::engine::CommitCounts;
use crate::store::error::Error;

/// A table is scanned if at least one row in this many is needed.
pub const SCAN_FRACTION: i64 = 4;

/// An account's profiles and ids, inside the import's transaction.
///
/// Invariant: changes are invisible to others before [`ProfileTable::commit`]. Dropping the value
/// rolls the transaction back.
pub trait ProfileTable: fmt::Debug + Send + 'static {
    type IdReader: IdReader;

    /// Returns the greatest profile id in use, 0 if there is none.
    fn last_profile(&self) -> Result<i64, Error>;

    /// Returns the number of ids.
    fn count_ids(&self) -> Result<usize, Error>;

    /// Returns the profile of each id, by the id's number. Ids that are not stored have the value
    /// [`UNKNOWN`](super::identity::resolve::UNKNOWN). Scans the whole table, or looks up the ids
    /// one by one.
    fn find_profiles(&self, ids: &IdIndex, scan: bool) -> Result<Vec<i64>, Error>;

    /// Passes the profile of each id, and whether the id is an identity, to `take`. Ids of kinds
    /// that are not [`IdKind`]s are included.
    fn scan_owners(&self, take: impl FnMut(i64, bool)) -> Result<(), Error>;

    /// Returns a reader of the committed ids, for other threads.
    fn id_reader(&self) -> Self::IdReader;

    /// Loads the profiles of `ids`, which ascend, until their properties take `max_bytes`. Returns
    /// the profiles and the number of ids processed. Ids without a profile are skipped.
    fn load_profiles(&self, ids: &[i64], max_bytes: usize) -> Result<(Profiles, usize), Error>;

    /// Inserts or replaces these profiles. Their ids ascend.
    fn store_profiles(&self, profiles: &Profiles) -> Result<(), Error>;

    /// Removes these profiles, if they exist.
    fn remove_profiles(&self, ids: &BTreeSet<i64>) -> Result<(), Error>;

    /// Inserts or replaces these ids, which are sorted.
    fn store_ids(&self, ids: &IdRows) -> Result<(), Error>;

    /// Adds a checkpoint for `import` and commits.
    ///
    /// # Errors
    /// After an error the transaction may or may not be committed.
    fn commit(self, import: &ImportId, counts: CommitCounts) -> Result<(), Error>;

    /// Returns the error for a stored profile whose properties can't be merged.
    fn invalid_properties(&self, profile: i64, source: serde_json::Error) -> Error;
}

/// Reads the committed ids of an account. The import's lock prevents changes of the ids.
pub trait IdReader: Send + Sync + 'static {
    /// Passes each id of `kind` with its profile to `take`, in the order of the table, until `take`
    /// returns false.
    fn read_ids(&self, kind: IdKind, take: impl FnMut(&str, i64) -> bool) -> Result<(), Error>;
}
