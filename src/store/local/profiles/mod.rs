//! Merges an import's profile changes into an account's `profiles.db`.
//!
//! Records are collected into a [`window`]. Its size is limited by the memory of its ids, and most
//! imports fit into one window. Then each id is looked up once, and each profile is read, merged
//! and written about once, in the order of the tables. The result does not depend on how records
//! are divided into windows. One transaction contains the whole import.

pub mod database;
pub mod id_loader;
mod id_table;

use std::fs;
use std::sync::Arc;

use self::database::Database;
pub use self::database::copy::{copy, imports, open_to_copy};
use self::database::new_database::Unfinished;
use super::super::{Committed, Error};
use super::Begun;
use super::layout::AccountFolder;
use crate::files::durable;
use crate::import_id::ImportId;
use crate::records::{ProfileBatch, Property};
use crate::store::background::{Background, Work};
use crate::store::profiles::batch::window::{Limits, Window};
pub use crate::store::profiles::properties::merge::Merger;

/// The size of the pieces handed to the merging thread, in bytes, about.
const PIECE_BYTES: usize = 2 << 20;
/// Writes one import's profile changes. They become visible with the commit.
#[derive(Debug)]
pub struct ProfilesWriter {
    properties: Arc<[Property]>,
    piece: Piece,
    profiles: Background<Profiles>,
}

/// Batches for the merging thread.
#[derive(Debug, Default)]
struct Piece {
    batches: Vec<ProfileBatch>,
    bytes: usize,
}

/// The account's profiles, inside the import's transaction.
#[derive(Debug)]
struct Profiles {
    import: ImportId,
    /// Must be dropped before the database, since its thread may be reading it.
    window: Window,
    database: Database,
    merger: Merger,
    committed: Committed,
}

/// Begins `import`, or returns the counts of an earlier run that committed it.
pub fn begin(
    folder: &AccountFolder,
    import: &ImportId,
    properties: &Arc<[Property]>,
) -> Result<Begun<ProfilesWriter>, Error> {
    begin_within(Limits::default(), folder, import, properties)
}

fn begin_within(
    limits: Limits,
    folder: &AccountFolder,
    import: &ImportId,
    properties: &Arc<[Property]>,
) -> Result<Begun<ProfilesWriter>, Error> {
    durable::create_folders(folder.path())?;
    let database = Database::begin(&folder.profiles())?;
    if let Some(committed) = database.committed(import)? {
        durable::sync_parent(&folder.profiles())?; // the earlier run may have crashed before this
        return Ok(Begun::Before(committed));
    }
    let last_profile = database.last_profile()?;
    let profiles = Profiles {
        import: import.clone(),
        database,
        merger: Merger::new(properties),
        window: Window::new(folder.profiles_scratch(), limits, last_profile),
        committed: Committed::default(),
    };
    Ok(Begun::Now(ProfilesWriter {
        properties: Arc::clone(properties),
        piece: Piece::default(),
        profiles: Background::new(profiles),
    }))
}

/// Returns the counts of `import` if an earlier run committed it.
pub fn committed(folder: &AccountFolder, import: &ImportId) -> Result<Option<Committed>, Error> {
    let path = folder.profiles();
    match fs::metadata(&path) {
        Err(error) if durable::is_missing(&error) => Ok(None),
        Err(error) => Err(Error::io("stat", &path)(error)),
        Ok(_) => {
            let committed = Database::peek(&path, import)?;
            if committed.is_some() {
                durable::sync_parent(&path)?; // the earlier run may have crashed before this
            }
            Ok(committed)
        }
    }
}

/// Removes the leftovers of a crashed run.
pub fn abandon(folder: &AccountFolder) -> Result<(), Error> {
    Unfinished::clear(&folder.profiles())
}

impl ProfilesWriter {
    /// Whether `batch` has the import's properties.
    pub fn fits(&self, batch: &ProfileBatch) -> bool {
        Arc::ptr_eq(batch.properties(), &self.properties) || *batch.properties() == self.properties
    }

    /// Adds `batch`. A full piece is handed to the merging thread.
    pub fn push(&mut self, batch: ProfileBatch) -> Result<(), Error> {
        self.piece.push(batch);
        if self.piece.bytes < PIECE_BYTES {
            return Ok(());
        }
        self.profiles.send(std::mem::take(&mut self.piece))
    }

    /// Merges the last window and commits the transaction.
    pub fn commit(self) -> Result<Committed, Error> {
        let mut profiles = self.profiles.finish(self.piece)?;
        profiles.merge_window()?;
        profiles.database.commit(&profiles.import, profiles.committed)?;
        Ok(profiles.committed)
    }
}

impl Piece {
    fn push(&mut self, batch: ProfileBatch) {
        self.bytes += batch.bytes();
        self.batches.push(batch);
    }
}

impl Work for Profiles {
    type Piece = Piece;

    fn work(&mut self, piece: Piece) -> Result<(), Error> {
        for batch in piece.batches {
            self.window.push(&batch, &self.database)?;
            if self.window.is_full() {
                self.merge_window()?;
            }
        }
        Ok(())
    }
}

impl Profiles {
    fn merge_window(&mut self) -> Result<(), Error> {
        let merged = self.window.merge(&self.database, &self.merger)?;
        self.committed.records += merged.records;
        self.committed.moved_ids += merged.moved_ids;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
