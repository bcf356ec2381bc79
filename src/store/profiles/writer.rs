//! Writes the profile changes of one import. It collects batches and merges them on another
//! thread.

use std::path::PathBuf;
use std::sync::Arc;

use super::batch::limits::MergeLimits;
use super::batch::window::Window;
use super::properties::merge::Merger;
use super::table::ProfileTable;
use crate::import_id::ImportId;
use crate::records::{Batch, ProfileBatch, Property};
use crate::store::background::{BackgroundWorker, Work};
use crate::store::engine::{CommitCounts, ImportWriter};
use crate::store::error::Error;

/// The approximate size of the batches that are passed to the merging thread at a time, in bytes.
const GROUP_BYTES: usize = 2 << 20;

/// Writes the profile changes of one import. The changes become visible with the commit.
#[derive(Debug)]
pub struct ProfilesWriter<T: ProfileTable> {
    properties: Arc<[Property]>,
    group: BatchGroup,
    merge: BackgroundWorker<ProfileMerge<T>>,
}

/// A group of batches for the merging thread.
#[derive(Debug, Default)]
struct BatchGroup {
    batches: Vec<ProfileBatch>,
    bytes: usize,
}

/// Merges batches of profile records into the account's profiles.
#[derive(Debug)]
struct ProfileMerge<T> {
    import: ImportId,
    /// The window of records. It must be dropped before the table, because its threads may be
    /// reading the database.
    window: Window,
    table: T,
    merger: Merger,
    counts: CommitCounts,
}

impl<T: ProfileTable> ProfilesWriter<T> {
    /// Begins the profile merge of `import` in the transaction of `table`. `spill_path` is a name
    /// for a temporary file.
    pub fn new(
        table: T,
        import: &ImportId,
        properties: &Arc<[Property]>,
        spill_path: PathBuf,
        limits: MergeLimits,
    ) -> Result<Self, Error> {
        let merge = ProfileMerge::new(table, import, properties, spill_path, limits)?;
        Ok(Self {
            properties: Arc::clone(properties),
            group: BatchGroup::default(),
            merge: BackgroundWorker::new(merge),
        })
    }
}

impl<T: ProfileTable> ImportWriter for ProfilesWriter<T> {
    /// Adds `batch` to the current group of batches. A full group is passed to the merging thread.
    fn push(&mut self, batch: Batch) -> Result<(), Error> {
        let Batch::Profiles(batch) = batch else { return Err(Error::Mismatch) };
        if *batch.properties() != self.properties {
            return Err(Error::Mismatch);
        }
        self.group.bytes += batch.bytes();
        self.group.batches.push(batch);
        if self.group.bytes < GROUP_BYTES {
            return Ok(());
        }
        self.merge.send(std::mem::take(&mut self.group))
    }

    /// Merges the last window of records and commits the transaction.
    fn commit(self: Box<Self>) -> Result<CommitCounts, Error> {
        self.merge.finish(self.group)?.commit()
    }
}

impl<T: ProfileTable> Work for ProfileMerge<T> {
    type Piece = BatchGroup;

    fn process(&mut self, group: BatchGroup) -> Result<(), Error> {
        for batch in group.batches {
            self.window.push(&batch, &self.table)?;
            if self.window.is_full() {
                self.merge_window()?;
            }
        }
        Ok(())
    }
}

impl<T: ProfileTable> ProfileMerge<T> {
    fn new(
        table: T,
        import: &ImportId,
        properties: &Arc<[Property]>,
        spill_path: PathBuf,
        limits: MergeLimits,
    ) -> Result<Self, Error> {
        Ok(Self {
            import: import.clone(),
            window: Window::new(spill_path, limits, table.last_profile()?),
            table,
            merger: Merger::new(properties),
            counts: CommitCounts::default(),
        })
    }

    fn commit(mut self) -> Result<CommitCounts, Error> {
        self.merge_window()?;
        self.table.commit(&self.import, self.counts)?;
        Ok(self.counts)
    }

    fn merge_window(&mut self) -> Result<(), Error> {
        self.counts += self.window.merge(&self.table, &self.merger)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
