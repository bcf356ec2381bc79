//! Profiles in SQLite: begins the merge of an import in the account's `profiles.db`.

pub mod database;

use std::fs;
use std::sync::Arc;

use self::database::Database;
use self::database::new_database::NewDatabase;
use super::layout::AccountFolder;
use crate::files::durable;
use crate::files::error::IoError;
use crate::import_id::ImportId;
use crate::records::Property;
use crate::store::engine::{CommitCounts, CommittedImport, ImportWriter};
use crate::store::error::Error;
use crate::store::profiles::batch::limits::MergeLimits;
use crate::store::profiles::writer::ProfilesWriter;

/// Returns the writer of `import`.
pub fn begin(
    folder: &AccountFolder,
    import: &ImportId,
    properties: &Arc<[Property]>,
    limits: MergeLimits,
) -> Result<Box<dyn ImportWriter>, Error> {
    durable::create_folders(folder.path())?;
    let database = Database::begin(&folder.profiles())?;
    if let Some(counts) = database.commit_counts(import)? {
        durable::sync_parent(&folder.profiles())?; // the earlier run may have crashed before this
        return Ok(Box::new(CommittedImport(counts)));
    }
    let spill_path = folder.profiles_spill();
    let writer = ProfilesWriter::new(database, import, properties, spill_path, limits)?;
    Ok(Box::new(writer))
}

/// Returns the counts of `import` if an earlier run committed it.
pub fn commit_counts(
    folder: &AccountFolder,
    import: &ImportId,
) -> Result<Option<CommitCounts>, Error> {
    let path = folder.profiles();
    match fs::metadata(&path) {
        Err(error) if durable::is_missing(&error) => return Ok(None),
        found => found.map_err(IoError::of("stat", &path))?,
    };
    let counts = Database::read_commit_counts(&path, import)?;
    if counts.is_some() {
        durable::sync_parent(&path)?; // the earlier run may have crashed before this
    }
    Ok(counts)
}

/// Removes the leftovers of a crashed run.
pub fn abandon(folder: &AccountFolder) -> Result<(), Error> {
    Ok(NewDatabase::remove_leftovers(&folder.profiles())?)
}
