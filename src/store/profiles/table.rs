//! The interface between the profile merge and its database. Each engine implements it.

use std::collections::BTreeSet;
use std::fmt;

use super::identity::id_index::IdIndex;
use super::rows::{IdRows, Profiles};
use crate::import_id::ImportId;
use crate::records::IdKind;
use crate::store::engine::CommitCounts;
use crate::store::error::Error;

/// The fraction of needed rows from which a table is scanned: one in this number.
pub const SCAN_FRACTION: i64 = 4;

/// An account's profiles and ids, inside the import's transaction.
///
/// Invariant: changes are invisible to others before [`ProfileTable::commit`]. Dropping the value
/// rolls the transaction back.
pub trait ProfileTable: fmt::Debug + Send + 'static {
    type IdReader: IdReader;

    /// Returns the greatest profile id that is in use. Returns 0 if there is no profile.
    fn last_profile(&self) -> Result<i64, Error>;

    /// Returns the number of ids in the table.
    fn count_ids(&self) -> Result<usize, Error>;

    /// Returns the profile of each id, by the id's number. Ids that are not stored have the value
    /// [`UNKNOWN`](super::identity::resolve::UNKNOWN). Scans the whole table, or looks up the ids
    /// one by one.
    fn find_profiles(&self, ids: &IdIndex, scan: bool) -> Result<Vec<i64>, Error>;

    /// Calls `take` for each id in the table, with its profile and whether the id is an identity.
    /// Ids of kinds that are not [`IdKind`]s are included.
    fn scan_owners(&self, take: impl FnMut(i64, bool)) -> Result<(), Error>;

    /// Returns a reader of the committed ids for other threads.
    fn id_reader(&self) -> Self::IdReader;

    /// Loads the profiles of `ids` until their properties take `max_bytes`. The ids ascend.
    /// Returns the profiles and the number of processed ids. Ids without a profile are skipped.
    fn load_profiles(&self, ids: &[i64], max_bytes: usize) -> Result<(Profiles, usize), Error>;

    /// Inserts or replaces the profiles in the table. Their ids ascend.
    fn store_profiles(&self, profiles: &Profiles) -> Result<(), Error>;

    /// Removes the profiles with the ids `ids` if they exist.
    fn remove_profiles(&self, ids: &BTreeSet<i64>) -> Result<(), Error>;

    /// Inserts or replaces the ids in the table. The ids are sorted.
    fn store_ids(&self, ids: &IdRows) -> Result<(), Error>;

    /// Adds a checkpoint for `import` and commits the transaction.
    ///
    /// # Errors
    /// After an error, the transaction may or may not be committed.
    fn commit(self, import: &ImportId, counts: CommitCounts) -> Result<(), Error>;

    /// Returns the error for a stored profile whose properties cannot be merged.
    fn invalid_properties(&self, profile: i64, source: serde_json::Error) -> Error;
}

/// Reads the committed ids of an account. The lock of the import prevents changes of the ids.
pub trait IdReader: Send + Sync + 'static {
    /// Calls `take` for each id of the kind `kind`, with its profile, in the order of the table.
    /// Stops when `take` returns false.
    fn read_ids(&self, kind: IdKind, take: impl FnMut(&str, i64) -> bool) -> Result<(), Error>;
}
