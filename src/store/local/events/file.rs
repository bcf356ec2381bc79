//! A Parquet file with events of an import. The columns are encoded in parallel and written in
//! order.

use std::cmp::Reverse;
use std::fmt;
use std::fs::File;
use std::io::BufWriter;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use arrow_array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;

use super::column::{ColumnChunk, ColumnEncoder, ColumnEncoders};
use super::writeback::Writeback;
use super::writer_settings::{WriterSettings, memory_bytes};
use crate::files::durable;
use crate::files::error::IoError;
use crate::report::TsRange;
use crate::store::error::Error;

/// The number of threads that encode a row group's columns. Another thread reads the data file.
/// With two encoders on two cores, the slower of reading and encoding can use both cores.
const ENCODERS: usize = 2;

/// The size of the buffer for writing a Parquet file, in bytes.
const BUFFER_BYTES: usize = 256 << 10;

/// A Parquet file of events that is open for writing.
pub struct EventsFile {
    path: PathBuf,
    file: SerializedFileWriter<BufWriter<File>>,
    writeback: Writeback,
}

/// The counts of events in the footer of a Parquet file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileCounts {
    pub records: u64,
    pub ts_range: Option<TsRange>,
}

impl fmt::Debug for EventsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventsFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl EventsFile {
    /// Creates a Parquet file at `path`. No file may exist at this path.
    pub fn create(path: &Path, settings: &WriterSettings) -> std::result::Result<Self, Error> {
        let file = BufWriter::with_capacity(BUFFER_BYTES, durable::create_file(path)?);
        let options = ArrowWriterOptions::new().with_properties(settings.file.clone());
        let (file, _) =
            ArrowWriter::try_new_with_options(file, Arc::clone(&settings.schema), options)
                .and_then(ArrowWriter::into_serialized_writer)
                .map_err(|source| Error::WriteEvents { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), file, writeback: Writeback::default() })
    }

    /// Writes `batches` as one row group. The encoders `columns` encode the row group.
    pub fn write(
        &mut self,
        columns: &mut ColumnEncoders,
        batches: &[RecordBatch],
    ) -> std::result::Result<(), Error> {
        columns
            .for_group(batches)
            .and_then(|columns| self.write_group(columns, batches))
            .map_err(|source| Error::WriteEvents { path: self.path.clone(), source })
    }

    /// Returns the number of column chunks that were written until now.
    pub fn chunk_count(&self) -> usize {
        self.file.flushed_row_groups().iter().map(|group| group.num_columns()).sum()
    }

    /// Writes the footer of the file and syncs the file. Returns the counts of the file.
    pub fn close(mut self) -> std::result::Result<FileCounts, Error> {
        let written = self.file.finish().and_then(|metadata| {
            self.file.inner().get_ref().sync_all()?;
            Ok(FileCounts::of(&metadata))
        });
        written.map_err(|source| Error::WriteEvents { path: self.path, source })
    }

    fn write_group(&mut self, columns: &[ColumnEncoder], batches: &[RecordBatch]) -> Result<()> {
        let chunks = encode(columns, batches)?;
        let mut group = self.file.next_row_group()?;
        for chunk in chunks {
            chunk.append_to(&mut group)?;
        }
        group.close()?;
        let written = self.file.bytes_written().saturating_sub(BUFFER_BYTES);
        self.writeback.advance(self.file.inner().get_ref(), written as u64);
        Ok(())
    }
}

/// Encodes every column. At most [`ENCODERS`] columns are encoded at a time, the largest first, so
/// that the threads end at about the same time.
fn encode(columns: &[ColumnEncoder], batches: &[RecordBatch]) -> Result<Vec<ColumnChunk>> {
    let mut chunks: Vec<_> = columns.iter().map(|_| None).collect();
    // The sizes of the columns are taken from the first batch.
    let size = |n: usize| batches.first().map_or(0, |batch| memory_bytes(batch.column(n)));
    let mut order: Vec<_> = columns.iter().zip(&mut chunks).enumerate().collect();
    order.sort_by_cached_key(|(n, _)| Reverse(size(*n)));
    let queue = Mutex::new(order.into_iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let encode_columns = || {
        while let Some((index, (column, chunk))) = next() {
            *chunk = Some(column.encode(batches.iter().map(|batch| batch.column(index)))?);
        }
        Ok::<_, ParquetError>(())
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..ENCODERS).map(|_| scope.spawn(encode_columns)).collect();
        let own = encode_columns();
        others.into_iter().fold(own, |result, other| {
            result.and(other.join().unwrap_or_else(|panic| resume_unwind(panic)))
        })
    })?;
    Ok(chunks.into_iter().flatten().collect())
}

/// Returns the counts of the file at `path`, which are in the footer of the file.
pub fn read_counts(path: &Path) -> std::result::Result<FileCounts, Error> {
    let file = File::open(path).map_err(IoError::of("open", path))?;
    let reader = SerializedFileReader::new(file)
        .map_err(|source| Error::CountEvents { path: path.to_owned(), source })?;
    Ok(FileCounts::of(reader.metadata()))
}

impl FileCounts {
    fn of(footer: &ParquetMetaData) -> Self {
        let of_groups = footer.row_groups().iter().map(ts_range_of);
        Self {
            records: footer.file_metadata().num_rows() as u64,
            ts_range: of_groups.fold(None, TsRange::merge),
        }
    }
}

/// Returns the range of the times in the column `ts`, according to the column's statistics.
fn ts_range_of(group: &RowGroupMetaData) -> Option<TsRange> {
    let column = group.columns().iter().find(|column| column.column_path().string() == "ts")?;
    let Statistics::Int64(ts) = column.statistics()? else { return None };
    // The times in the column are in milliseconds.
    let seconds = |milliseconds: &i64| milliseconds.div_euclid(1000);
    Some(TsRange { first: seconds(ts.min_opt()?), last: seconds(ts.max_opt()?) })
}

#[cfg(test)]
mod tests {
    use arrow_array::StringArray;
    use arrow_schema::{DataType, Field, Schema};
    use parquet::basic::Encoding;

    use super::super::column::GROUPS_PER_CHOICE;
    use super::*;
    use crate::records::EventSchema;

    #[test]
    fn the_encoding_is_adapted_to_changing_values() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let arrow = Arc::new(Schema::new(vec![Field::new("a", DataType::Utf8, true)]));
        let schema = EventSchema { arrow: Arc::clone(&arrow) };
        let settings =
            WriterSettings::new(&"acme".parse().unwrap(), &"sftp1-7".parse().unwrap(), &schema);
        let mut file = EventsFile::create(&path, &settings).unwrap();
        let mut columns = ColumnEncoders::default();
        let mut write = |modulus: usize| {
            let texts: StringArray = (0..100).map(|n| Some(format!("a{}", n % modulus))).collect();
            let batch = RecordBatch::try_new(Arc::clone(&arrow), vec![Arc::new(texts)]).unwrap();
            file.write(&mut columns, &[batch]).unwrap();
        };
        (0..GROUPS_PER_CHOICE).for_each(|_| write(1000));
        write(5);
        write(1000);
        assert_eq!(file.close().unwrap().records, (GROUPS_PER_CHOICE as u64 + 2) * 100);
        let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        let groups = reader.metadata().row_groups().iter();
        let by_dictionary = groups
            .map(|group| group.column(0).encodings().any(|e| e == Encoding::RLE_DICTIONARY))
            .collect::<Vec<_>>();
        let expected: Vec<_> = (0..GROUPS_PER_CHOICE + 2).map(|n| n >= GROUPS_PER_CHOICE).collect();
        assert_eq!(by_dictionary, expected);
    }
}
