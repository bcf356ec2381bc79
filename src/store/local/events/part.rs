//! One Parquet file of an import. Columns are encoded side by side, written in order.

use std::fmt;
use std::fs::File;
use std::io::BufWriter;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use arrow_array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, ArrowWriterOptions,
    compute_leaves,
};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;

use super::super::super::Error;
use super::super::durable;
use super::settings::Settings;

/// How many threads encode a row group's columns. The reading side has its own; with two cores,
/// two let whichever side is behind have both.
const ENCODERS: usize = 2;

/// An open Parquet file.
pub struct Part {
    path: PathBuf,
    file: SerializedFileWriter<BufWriter<File>>,
    encoders: ArrowRowGroupWriterFactory,
    settings: Settings,
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Part {
    /// Makes the file.
    ///
    /// # Errors
    /// It can't be made, or is there already.
    pub fn create(path: &Path, settings: &Settings) -> std::result::Result<Self, Error> {
        let file = BufWriter::with_capacity(256 << 10, durable::create_file(path)?);
        let options =
            ArrowWriterOptions::new().with_properties(settings.properties.as_ref().clone());
        let (file, encoders) =
            ArrowWriter::try_new_with_options(file, Arc::clone(&settings.schema), options)
                .and_then(ArrowWriter::into_serialized_writer)
                .map_err(|source| Error::WriteEvents { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), file, encoders, settings: settings.clone() })
    }

    /// Writes `batches` as one row group.
    ///
    /// # Errors
    /// They don't have the part's columns, or the file can't be written.
    pub fn write(&mut self, batches: &[RecordBatch]) -> std::result::Result<(), Error> {
        self.write_group(batches)
            .map_err(|source| Error::WriteEvents { path: self.path.clone(), source })
    }

    /// How many column chunks it has so far.
    pub fn chunks(&self) -> usize {
        self.file.flushed_row_groups().len() * self.settings.schema.fields().len()
    }

    /// Writes the footer, brings the file to the disk and says how many records it holds.
    ///
    /// # Errors
    /// It can't be written or synced.
    pub fn close(mut self) -> std::result::Result<u64, Error> {
        let written = self.file.finish().and_then(|metadata| {
            self.file.inner().get_ref().sync_all()?;
            Ok(metadata.file_metadata().num_rows() as u64)
        });
        written.map_err(|source| Error::WriteEvents { path: self.path, source })
    }

    fn write_group(&mut self, batches: &[RecordBatch]) -> Result<()> {
        let writers = self.encoders.create_column_writers(self.file.flushed_row_groups().len())?;
        let chunks = encode(writers, batches)?;
        let mut group = self.file.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close()?;
        Ok(())
    }
}

/// Encodes every column, [`ENCODERS`] at a time.
fn encode(
    writers: Vec<ArrowColumnWriter>,
    batches: &[RecordBatch],
) -> Result<Vec<ArrowColumnChunk>> {
    let mut chunks: Vec<_> = writers.iter().map(|_| None).collect();
    let columns = Mutex::new(writers.into_iter().zip(&mut chunks).enumerate());
    let next = || columns.lock().unwrap_or_else(PoisonError::into_inner).next();
    let encode_columns = || {
        while let Some((index, (writer, chunk))) = next() {
            *chunk = Some(encode_column(writer, index, batches)?);
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
    // Every column was taken, and each that was taken is encoded, or an error was returned above.
    Ok(chunks.into_iter().flatten().collect())
}

fn encode_column(
    mut writer: ArrowColumnWriter,
    index: usize,
    batches: &[RecordBatch],
) -> Result<ArrowColumnChunk> {
    for batch in batches {
        for leaf in compute_leaves(batch.schema_ref().field(index), batch.column(index))? {
            writer.write(&leaf)?;
        }
    }
    writer.close()
}

/// How many records the file at `path` holds, by its footer.
///
/// # Errors
/// It can't be read or is not Parquet.
pub fn count(path: &Path) -> std::result::Result<u64, Error> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let reader = SerializedFileReader::new(file)
        .map_err(|source| Error::CountEvents { path: path.to_owned(), source })?;
    Ok(reader.metadata().file_metadata().num_rows() as u64)
}
