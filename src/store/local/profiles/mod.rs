//! An import's profile changes on their way into an account's `profiles.db`.
//!
//! Batches are gathered into windows of bounded size. Within a window ids are looked up once
//! each, and each profile is read, merged and written once, all in the order of their keys. The
//! result is the same however records fall into windows. One transaction holds the whole import.

mod database;
mod merge;
mod resolve;

use std::sync::Arc;

use self::database::{Database, Profile};
pub use self::merge::Merger;
use self::resolve::Ids;
use super::super::{Committed, Error};
use super::Begun;
use super::background::{Background, Work};
use super::durable;
use super::layout::AccountFolder;
use crate::import_id::ImportId;
use crate::records::{ProfileBatch, ProfileRecord, Property};

/// A window is merged at about this many bytes; its tables need twice as much again. Every window
/// goes through most of the database: the larger, the fewer.
const WINDOW_BYTES: usize = 48 << 20;
/// Batches are handed to the merging thread at about this many bytes.
const PIECE_BYTES: usize = 2 << 20;
/// What a record takes in a batch beside its text and changes, in bytes.
const RECORD_BYTES: usize = 72;
/// What a change takes in a batch beside its text, in bytes.
const CHANGE_BYTES: usize = 32;

/// An import's changes, not yet visible.
#[derive(Debug)]
pub struct ProfilesWriter {
    properties: Arc<[Property]>,
    piece: Window,
    profiles: Background<Profiles>,
}

/// Batches that will be merged together, or a piece of them.
#[derive(Debug, Default)]
struct Window {
    batches: Vec<ProfileBatch>,
    bytes: usize,
}

/// The account's profiles, inside the import's transaction.
#[derive(Debug)]
struct Profiles {
    import: ImportId,
    database: Database,
    merger: Merger,
    window: Window,
    last_profile: i64,
    merged: Vec<u8>,
    committed: Committed,
}

/// Begins `import`, or says what an earlier run of it committed.
///
/// # Errors
/// The account's folder or database can't be made or opened.
pub fn begin(
    folder: &AccountFolder,
    import: &ImportId,
    properties: &Arc<[Property]>,
) -> Result<Begun<ProfilesWriter>, Error> {
    durable::create_folders(folder.path())?;
    let database = Database::begin(&folder.profiles())?;
    if let Some(committed) = database.committed(import)? {
        return Ok(Begun::Before(committed));
    }
    let profiles = Profiles {
        import: import.clone(),
        last_profile: database.last_profile()?,
        database,
        merger: Merger::new(properties),
        window: Window::default(),
        merged: Vec::new(),
        committed: Committed::default(),
    };
    Ok(Begun::Now(ProfilesWriter {
        properties: Arc::clone(properties),
        piece: Window::default(),
        profiles: Background::new(profiles),
    }))
}

impl ProfilesWriter {
    /// Whether `batch` changes the properties that the import began with.
    pub fn fits(&self, batch: &ProfileBatch) -> bool {
        Arc::ptr_eq(batch.properties(), &self.properties) || *batch.properties() == self.properties
    }

    /// Keeps `batch`; enough of them go to the merging thread.
    ///
    /// # Errors
    /// An earlier window can't be merged or written.
    pub fn push(&mut self, batch: ProfileBatch) -> Result<(), Error> {
        self.piece.push(batch);
        if self.piece.bytes < PIECE_BYTES {
            return Ok(());
        }
        self.profiles.send(std::mem::take(&mut self.piece))
    }

    /// Merges what is left and commits the transaction.
    ///
    /// # Errors
    /// The changes can't be merged or written.
    pub fn commit(self) -> Result<Committed, Error> {
        let mut profiles = self.profiles.finish(self.piece)?;
        profiles.merge_window()?;
        profiles.database.commit(&profiles.import, profiles.committed)?;
        Ok(profiles.committed)
    }
}

impl Window {
    fn push(&mut self, batch: ProfileBatch) {
        let changes: usize = batch.iter().map(|record| record.changes().size_hint().0).sum();
        self.bytes += batch.text_len() + batch.len() * RECORD_BYTES + changes * CHANGE_BYTES;
        self.batches.push(batch);
    }
}

impl Work for Profiles {
    type Piece = Window;

    fn work(&mut self, piece: Window) -> Result<(), Error> {
        self.window.bytes += piece.bytes;
        self.window.batches.extend(piece.batches);
        if self.window.bytes < WINDOW_BYTES {
            return Ok(());
        }
        self.merge_window()
    }
}

impl Profiles {
    fn merge_window(&mut self) -> Result<(), Error> {
        let window = std::mem::take(&mut self.window);
        let records: Vec<_> = window.batches.iter().flat_map(ProfileBatch::iter).collect();
        let last_stored = self.last_profile;
        let ids = Ids::gather(&records);
        let by_key = database::in_key_order(ids.keys());
        let known = self.database.look_up(ids.keys(), &by_key)?;
        let resolved = ids.resolve(&known, &mut self.last_profile);
        let mut order: Vec<_> = resolved.profiles.iter().copied().zip(0..records.len()).collect();
        order.sort_unstable();
        for group in order.chunk_by(|(a, _), (b, _)| a == b) {
            let records = group.iter().map(|&(_, index)| &records[index]);
            self.merge(group[0].0, last_stored, records)?;
        }
        self.database.lead(ids.keys(), &by_key, &known, &resolved.leads_to)?;
        self.committed.records += records.len() as u64;
        self.committed.moved_ids += resolved.moved;
        Ok(())
    }

    /// Applies `records`, in their order and at least one, to the profile `id`, which is new if
    /// it is above `last_stored`.
    fn merge<'a>(
        &mut self,
        id: i64,
        last_stored: i64,
        records: impl Iterator<Item = &'a ProfileRecord<'a>> + Clone,
    ) -> Result<(), Error> {
        let Self { database, merger, merged, .. } = self;
        let times = || records.clone().map(|record| record.at);
        let created_at = times().min().unwrap_or_default();
        let updated_at = times().max().unwrap_or_default();
        let empty = Profile { properties: "{}", created_at, updated_at };
        let changes = records.clone().flat_map(ProfileRecord::changes);
        merged.clear();
        let merge = |stored: Option<Profile<'_>>| {
            let before = stored.unwrap_or(empty);
            merger
                .merge(before.properties, changes, merged)
                .map_err(|source| Error::Properties { path: database.path().into(), id, source })?;
            let properties = std::str::from_utf8(merged).expect("serde_json writes UTF-8");
            let created_at = before.created_at.min(created_at);
            let updated_at = before.updated_at.max(updated_at);
            let after = Profile { properties, created_at, updated_at };
            Ok((stored != Some(after)).then_some(after))
        };
        let changed = if id > last_stored { merge(None) } else { database.profile(id, merge) }?;
        changed.map_or(Ok(()), |after| database.store(id, after))
    }
}
