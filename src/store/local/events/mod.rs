//! Writes an import's events into Parquet files.
//!
//! Batches are collected into groups of bounded size. A group becomes one row group. The files are
//! written to the import's unfinished folder. The commit syncs that folder and renames it into the
//! `events` folder.

mod column;
mod file;
mod text;
mod writeback;
mod writer_settings;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use self::column::ColumnEncoders;
use self::file::{EventsFile, FileCounts};
use self::writer_settings::{WriterSettings, memory_bytes};
use super::layout::{self, AccountFolder};
use crate::account::AccountId;
use crate::files::durable;
use crate::files::error::IoError;
use crate::import_id::ImportId;
use crate::records::{Batch, EventSchema};
use crate::report::TsRange;
use crate::store::background::{BackgroundWorker, Work};
use crate::store::engine::{CommitCounts, CommittedImport, ImportWriter};
use crate::store::error::Error;

/// The Arrow memory of a full group, in bytes. Two groups exist at a time. They and their encoded
/// columns are the largest part of an import's memory.
const GROUP_BYTES: usize = 12 << 20;
/// The number of column chunks after which a file is closed. The footer takes about 1 kB of memory
/// per chunk, and a schema may have 2,000 columns.
const CHUNKS_PER_FILE: usize = 16_384;

/// Writes the events of one import. The events become visible with the commit.
#[derive(Debug)]
pub struct EventsWriter {
    schema: SchemaRef,
    group: RowGroup,
    files: BackgroundWorker<EventsFiles>,
    folders: ImportFolders,
}

/// Batches of events that become one row group.
#[derive(Debug, Default)]
struct RowGroup {
    batches: Vec<RecordBatch>,
    bytes: usize,
}

/// Writes the Parquet files of an import. A file is created when its first row group is written.
#[derive(Debug)]
struct EventsFiles {
    folder: PathBuf,
    settings: WriterSettings,
    columns: ColumnEncoders,
    open: Option<EventsFile>,
    closed: usize,
    counts: CommitCounts,
}

/// The folders with the events of an import. Dropping the value removes the folder of unfinished
/// events, after a commit as well.
#[derive(Debug)]
struct ImportFolders {
    unfinished: PathBuf,
    committed: PathBuf,
}

/// Returns the writer for the events of `import`.
pub fn begin(
    folder: &AccountFolder,
    account: &AccountId,
    import: &ImportId,
    schema: &EventSchema,
) -> Result<Box<dyn ImportWriter>, Error> {
    let folders = ImportFolders {
        unfinished: folder.unfinished_events_of(import),
        committed: folder.events_of(import),
    };
    durable::create_folders(&folder.events())?;
    durable::remove_folder(&folders.unfinished)?;
    if let Some(counts) = commit_counts(folder, import)? {
        return Ok(Box::new(CommittedImport(counts)));
    }
    durable::create_folders(durable::parent(&folders.unfinished))?;
    durable::create_temporary_folder(&folders.unfinished)?;
    let files = EventsFiles {
        folder: folders.unfinished.clone(),
        settings: WriterSettings::new(account, import, schema),
        columns: ColumnEncoders::default(),
        open: None,
        closed: 0,
        counts: CommitCounts::default(),
    };
    Ok(Box::new(EventsWriter {
        schema: Arc::clone(&schema.arrow),
        group: RowGroup::default(),
        files: BackgroundWorker::new(files),
        folders,
    }))
}

/// Returns the counts of `import` if an earlier run committed the import. Makes that commit
/// durable.
pub fn commit_counts(
    folder: &AccountFolder,
    import: &ImportId,
) -> Result<Option<CommitCounts>, Error> {
    let events = folder.events_of(import);
    match fs::metadata(&events) {
        Err(error) if durable::is_missing(&error) => return Ok(None),
        found => found.map_err(IoError::of("stat", &events))?,
    };
    // The earlier run may have crashed between the rename and the sync.
    durable::sync(&folder.events())?;
    count_files(&events).map(Some)
}

impl ImportWriter for EventsWriter {
    /// Adds `batch` to the current row group. A full row group is written on another thread.
    fn push(&mut self, batch: Batch) -> Result<(), Error> {
        match batch {
            Batch::Events(batch) if *batch.schema_ref() == self.schema => self.group.push(batch),
            _ => return Err(Error::Mismatch),
        }
        if self.group.bytes < GROUP_BYTES {
            return Ok(());
        }
        self.files.send(std::mem::take(&mut self.group))
    }

    /// Writes the last row group, closes the files and renames the folder of the import.
    fn commit(self: Box<Self>) -> Result<CommitCounts, Error> {
        let counts = self.files.finish(self.group)?.close()?;
        durable::publish(&self.folders.unfinished, &self.folders.committed)?;
        Ok(counts)
    }
}

impl RowGroup {
    fn push(&mut self, batch: RecordBatch) {
        if batch.num_rows() > 0 {
            // Slices of a batch share the memory of the batch. For each slice, only its own rows
            // count.
            self.bytes += batch.columns().iter().map(memory_bytes).sum::<usize>();
            self.batches.push(batch);
        }
    }
}

impl Work for EventsFiles {
    type Piece = RowGroup;

    fn process(&mut self, group: RowGroup) -> Result<(), Error> {
        if group.batches.is_empty() {
            return Ok(());
        }
        let mut file = self.take_or_create()?;
        file.write(&mut self.columns, &group.batches)?;
        let is_full = file.chunk_count() >= CHUNKS_PER_FILE;
        self.open = Some(file);
        if is_full { self.close_file() } else { Ok(()) }
    }
}

impl EventsFiles {
    /// Takes the open Parquet file. Creates the next file if none is open.
    fn take_or_create(&mut self) -> Result<EventsFile, Error> {
        match self.open.take() {
            Some(file) => Ok(file),
            None => EventsFile::create(&layout::part(&self.folder, self.closed), &self.settings),
        }
    }

    fn close_file(&mut self) -> Result<(), Error> {
        if let Some(file) = self.open.take() {
            add(&mut self.counts, file.close()?);
            self.closed += 1;
        }
        Ok(())
    }

    /// Closes the last file and returns the counts of all files. If the import has no records,
    /// creates one file with columns and without rows.
    fn close(mut self) -> Result<CommitCounts, Error> {
        if self.closed == 0 {
            self.open = Some(self.take_or_create()?);
        }
        self.close_file()?;
        Ok(self.counts)
    }
}

impl Drop for ImportFolders {
    fn drop(&mut self) {
        if let Err(error) = durable::remove_folder(&self.unfinished) {
            // The next run of the import removes the folder. Readers never scan the folder.
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot remove the unfinished events of an import"
            );
        }
    }
}

/// Counts the events of a committed import. The counts are in the footers of its files.
fn count_files(folder: &Path) -> Result<CommitCounts, Error> {
    let mut counts = CommitCounts::default();
    for entry in fs::read_dir(folder).map_err(IoError::of("list", folder))? {
        let path = entry.map_err(IoError::of("list", folder))?.path();
        add(&mut counts, file::read_counts(&path)?);
    }
    Ok(counts)
}

/// Adds the counts of a file to the counts of the import.
fn add(counts: &mut CommitCounts, file: FileCounts) {
    counts.records += file.records;
    counts.ts_range = TsRange::merge(counts.ts_range, file.ts_range);
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use arrow_array::{ArrayRef, StringArray};
    use arrow_schema::{DataType, Field, Schema};
    use parquet::file::reader::{FileReader, SerializedFileReader};

    use super::*;

    /// Returns a batch of `width` columns that fills a row group, and the schema of the batch.
    fn full_group(width: usize) -> (EventSchema, RecordBatch) {
        let text = "x".repeat(GROUP_BYTES / width / 16);
        let column: ArrayRef = Arc::new(StringArray::from(vec![text.as_str(); 17]));
        let field = |n| Field::new(format!("{n}"), DataType::Utf8, true);
        let arrow = Arc::new(Schema::new((0..width).map(field).collect::<Vec<_>>()));
        let batch = RecordBatch::try_new(Arc::clone(&arrow), vec![column; width]).unwrap();
        (EventSchema { arrow }, batch)
    }

    #[test]
    fn files_and_row_groups_have_limits_and_metadata() {
        let data = tempfile::tempdir().unwrap();
        let (account, import) = ("acme".parse().unwrap(), "sftp1-7".parse().unwrap());
        let folder = AccountFolder::new(data.path(), &account);
        let (schema, batch) = full_group(2000);
        let mut writer = begin(&folder, &account, &import, &schema).unwrap();
        for _ in 0..10 {
            writer.push(Batch::Events(batch.clone())).unwrap();
        }
        assert_eq!(writer.commit().unwrap().records, 170);
        let mut row_groups = Vec::new();
        for n in 0..2 {
            let file = File::open(layout::part(&folder.events_of(&import), n)).unwrap();
            let reader = SerializedFileReader::new(file).unwrap();
            let metadata = reader.metadata().file_metadata();
            assert_eq!(
                metadata.created_by(),
                Some(concat!("sftp-import version ", env!("CARGO_PKG_VERSION")))
            );
            let of = |key: &str| {
                let mut values = metadata.key_value_metadata().unwrap().iter();
                values.find(|value| value.key == key).and_then(|value| value.value.as_deref())
            };
            assert_eq!(of("sftp-import.account"), Some("acme"));
            assert_eq!(of("sftp-import.import"), Some("sftp1-7"));
            row_groups.push(reader.num_row_groups());
        }
        assert_eq!(row_groups, [9, 1], "the tenth group must be in a second file");
    }
}
