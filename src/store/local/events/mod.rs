//! Writes an import's events into Parquet files.
//!
//! Batches are collected into groups of bounded size. A group becomes one row group. The files are
//! written to the import's unfinished folder. The commit syncs that folder and renames it into the
//! `events` folder.

mod column;
pub mod file;
mod text;
mod writeback;
pub mod writer_settings;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use self::column::Columns;
use self::file::Part;
use super::super::{Committed, Error};
use super::Begun;
use super::layout::{self, AccountFolder};
use crate::account::AccountId;
use crate::files::durable;
use crate::import_id::ImportId;
use crate::records::EventSchema;
use crate::store::background::{Background, Work};

/// The Arrow memory of a full group, in bytes. Two groups exist at a time, so this and their
/// encoded columns bound the memory of an import.
const GROUP_BYTES: usize = 12 << 20;
/// A file is closed after this many column chunks. The footer takes about 1 kB of memory per chunk,
/// and a schema may have 2,000 columns.
const CHUNKS_PER_PART: usize = 16_384;

/// Writes one import's events. They become visible with the commit.
#[derive(Debug)]
pub struct EventsWriter {
    schema: SchemaRef,
    group: Group,
    parts: Background<Parts>,
    folders: Folders,
}

/// Batches that become one row group.
#[derive(Debug, Default)]
struct Group {
    batches: Vec<RecordBatch>,
    bytes: usize,
}

/// Writes the import's files. A file is created with its first row group.
#[derive(Debug)]
struct Parts {
    folder: PathBuf,
    settings: writer_settings::Settings,
    columns: Columns,
    open: Option<Part>,
    closed: usize,
    records: u64,
}

/// The folders of an import. Dropping it removes the unfinished folder, after a commit as well.
#[derive(Debug)]
struct Folders {
    unfinished: PathBuf,
    committed: PathBuf,
}

/// Begins `import`, or returns the counts of an earlier run that committed it.
pub fn begin(
    folder: &AccountFolder,
    account: &AccountId,
    import: &ImportId,
    schema: &EventSchema,
) -> Result<Begun<EventsWriter>, Error> {
    let folders = Folders {
        unfinished: folder.unfinished_events_of(import),
        committed: folder.events_of(import),
    };
    durable::create_folders(&folder.events())?;
    durable::remove_folder(&folders.unfinished)?;
    if let Some(committed) = committed(folder, import)? {
        return Ok(Begun::Before(committed));
    }
    folders.unfinished.parent().map_or(Ok(()), durable::create_folders)?;
    durable::create_temporary_folder(&folders.unfinished)?;
    let parts = Parts {
        folder: folders.unfinished.clone(),
        settings: writer_settings::Settings::new(account, import, schema),
        columns: Columns::default(),
        open: None,
        closed: 0,
        records: 0,
    };
    Ok(Begun::Now(EventsWriter {
        schema: Arc::clone(&schema.arrow),
        group: Group::default(),
        parts: Background::new(parts),
        folders,
    }))
}

/// Returns the counts of `import` if an earlier run committed it, and makes that commit durable.
pub fn committed(folder: &AccountFolder, import: &ImportId) -> Result<Option<Committed>, Error> {
    let events = folder.events_of(import);
    match fs::metadata(&events) {
        Err(error) if durable::is_missing(&error) => return Ok(None),
        found => found.map_err(Error::io("stat", &events))?,
    };
    // The earlier run may have crashed between the rename and the sync.
    durable::sync(&folder.events())?;
    count(&events).map(Some)
}

impl EventsWriter {
    /// Whether `batch` has the import's columns.
    pub fn fits(&self, batch: &RecordBatch) -> bool {
        Arc::ptr_eq(batch.schema_ref(), &self.schema) || *batch.schema_ref() == self.schema
    }

    /// Adds `batch`. A full group is written on the other thread.
    pub fn push(&mut self, batch: RecordBatch) -> Result<(), Error> {
        self.group.push(batch);
        if self.group.bytes < GROUP_BYTES {
            return Ok(());
        }
        self.parts.send(std::mem::take(&mut self.group))
    }

    /// Writes the last group, closes the files and renames the folder.
    pub fn commit(self) -> Result<Committed, Error> {
        let records = self.parts.finish(self.group)?.close()?;
        durable::publish(&self.folders.unfinished, &self.folders.committed)?;
        Ok(Committed { records, moved_ids: 0 })
    }
}

impl Group {
    fn push(&mut self, batch: RecordBatch) {
        if batch.num_rows() > 0 {
            // Slices of a batch share its memory: each counts only its own rows.
            self.bytes += batch.columns().iter().map(file::bytes).sum::<usize>();
            self.batches.push(batch);
        }
    }
}

impl Work for Parts {
    type Piece = Group;

    fn work(&mut self, group: Group) -> Result<(), Error> {
        if group.batches.is_empty() {
            return Ok(());
        }
        let mut part = self.part()?;
        part.write(&mut self.columns, &group.batches)?;
        let is_full = part.chunks() >= CHUNKS_PER_PART;
        self.open = Some(part);
        if is_full { self.close_part() } else { Ok(()) }
    }
}

impl Parts {
    /// Takes the open file, or creates the next one.
    fn part(&mut self) -> Result<Part, Error> {
        match self.open.take() {
            Some(part) => Ok(part),
            None => Part::create(&layout::part(&self.folder, self.closed), &self.settings),
        }
    }

    fn close_part(&mut self) -> Result<(), Error> {
        if let Some(part) = self.open.take() {
            self.records += part.close()?;
            self.closed += 1;
        }
        Ok(())
    }

    /// Closes the last file and returns the number of records. An import without records gets one
    /// file that has the columns only.
    fn close(mut self) -> Result<u64, Error> {
        if self.closed == 0 {
            self.open = Some(self.part()?);
        }
        self.close_part()?;
        Ok(self.records)
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        if let Err(error) = durable::remove_folder(&self.unfinished) {
            // The next run of this import removes it. Readers never scan this folder.
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot remove the unfinished events of an import"
            );
        }
    }
}

/// Counts the events of a committed import by the footers of its files.
fn count(folder: &Path) -> Result<Committed, Error> {
    let mut committed = Committed::default();
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let path = entry.map_err(Error::io("list", folder))?.path();
        committed.records += file::count(&path)?;
    }
    Ok(committed)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use arrow_array::{ArrayRef, StringArray};
    use arrow_schema::{DataType, Field, Schema};
    use parquet::file::reader::{FileReader, SerializedFileReader};

    use super::*;

    /// Returns a batch of `width` columns that fills a group, and its schema.
    fn full_group(width: usize) -> (EventSchema, RecordBatch) {
        let text = "x".repeat(GROUP_BYTES / width / 16);
        let column: ArrayRef = Arc::new(StringArray::from(vec![text.as_str(); 17]));
        let field = |n| Field::new(format!("{n}"), DataType::Utf8, true);
        let arrow = Arc::new(Schema::new((0..width).map(field).collect::<Vec<_>>()));
        let batch = RecordBatch::try_new(Arc::clone(&arrow), vec![column; width]).unwrap();
        (EventSchema { arrow }, batch)
    }

    #[test]
    fn parts_and_row_groups_are_bounded_and_say_whose_they_are() {
        let data = tempfile::tempdir().unwrap();
        let (account, import) = ("acme".parse().unwrap(), "sftp1-7".parse().unwrap());
        let folder = AccountFolder::new(data.path(), &account);
        let (schema, batch) = full_group(2000);
        let Begun::Now(mut writer) = begin(&folder, &account, &import, &schema).unwrap() else {
            panic!("committed before it began");
        };
        for _ in 0..10 {
            writer.push(batch.clone()).unwrap();
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
        assert_eq!(row_groups, [9, 1], "the tenth group went to a second part");
    }
}
