//! Profiles in SQLite. The module begins the merge of an import into the account's `profiles.db`.

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

/// Returns the writer for the profiles of `import`.
pub fn begin(
    folder: &AccountFolder,
    import: &ImportId,
    properties: &Arc<[Property]>,
    limits: MergeLimits,
) -> Result<Box<dyn ImportWriter>, Error> {
    durable::create_folders(folder.path())?;
    let database = Database::begin(&folder.profiles())?;
    if let Some(counts) = database.commit_counts(import)? {
        // The earlier run may have crashed before this sync.
        durable::sync_parent(&folder.profiles())?;
        return Ok(Box::new(CommittedImport(counts)));
    }
    let spill_path = folder.profiles_spill();
    let writer = ProfilesWriter::new(database, import, properties, spill_path, limits)?;
    Ok(Box::new(writer))
}

/// Returns the counts of `import` if an earlier run committed the import.
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
        // The earlier run may have crashed before this sync.
        durable::sync_parent(&path)?;
    }
    Ok(counts)
}

/// Removes the files that a crashed run of an import of profiles left.
pub fn abandon(folder: &AccountFolder) -> Result<(), Error> {
    Ok(NewDatabase::remove_leftovers(&folder.profiles())?)
}
