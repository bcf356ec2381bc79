//! One column of a Parquet file: texts by our own writer, every other type by the library's.

use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, FieldRef, Schema};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::basic::Compression;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::properties::WriterPropertiesBuilder;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use super::text::{TextChunk, TextColumn};
use super::writer_settings;

/// How many row groups are written as the first of them asks for. A file may go on in another way
/// than it begins; to look again is to compress a page three times over.
pub(super) const GROUPS_PER_CHOICE: usize = 32;

/// What zstd must take away for it to be worth its time: one byte in so many.
const LEAST: i64 = 16;

/// So few values are compressed in any case.
const SMALL: usize = 512;

/// The columns of an import.
#[derive(Debug, Default)]
pub struct Columns {
    columns: Vec<Column>,
    /// How many row groups they were asked for.
    groups: usize,
}

impl Columns {
    /// As the next row group has them, which is of `batches`.
    ///
    /// # Errors
    /// Batches are not of one schema.
    pub fn of(&mut self, batches: &[RecordBatch]) -> Result<&[Column]> {
        if let (true, Some(first)) =
            (self.groups.is_multiple_of(GROUPS_PER_CHOICE), batches.first())
        {
            let fields = first.schema_ref().fields().iter().enumerate();
            let column = |(n, field)| Column::new(field, batches.iter().map(|b| b.column(n)));
            self.columns = fields.map(column).collect::<Result<_>>()?;
        }
        self.groups += 1;
        Ok(&self.columns)
    }
}

/// Encodes the chunks of a column.
#[derive(Debug)]
pub enum Column {
    Texts(TextColumn),
    Others(Others),
}

/// A column's part of a row group.
#[derive(Debug)]
pub enum Chunk {
    Texts(Box<TextChunk>),
    Others(Vec<ArrowColumnChunk>),
}

impl Column {
    /// For a column that begins with `values`.
    ///
    /// # Errors
    /// They are not of the field's type.
    pub fn new<'a>(field: &FieldRef, values: impl Iterator<Item = &'a ArrayRef>) -> Result<Self> {
        let sample = writer_settings::sample(values)?;
        let schema = Arc::new(Schema::new(vec![Arc::clone(field)]));
        let parquet = ArrowSchemaConverter::new().convert(&schema)?;
        if *sample.data_type() == DataType::Utf8 {
            return TextColumn::new(parquet.column(0), &sample).map(Self::Texts);
        }
        let settings = writer_settings::column(&sample);
        let others = |settings: WriterPropertiesBuilder| {
            // The factory takes its settings from a file; nothing is written to this one.
            let settings = Arc::new(settings.build());
            let file = SerializedFileWriter::new(io::sink(), parquet.root_schema_ptr(), settings)?;
            let writers = ArrowRowGroupWriterFactory::new(&file, Arc::clone(&schema));
            Ok::<_, ParquetError>(Others { field: Arc::clone(field), writers })
        };
        let compressed = others(settings.clone())?;
        let column = match compressed.gains(&sample)? {
            true => compressed,
            false => others(settings.set_compression(Compression::UNCOMPRESSED))?,
        };
        Ok(Self::Others(column))
    }

    /// The chunk of `arrays`.
    ///
    /// # Errors
    /// They are not of the column's type.
    pub fn encode<'a>(&self, arrays: impl Iterator<Item = &'a ArrayRef> + Clone) -> Result<Chunk> {
        match self {
            Self::Texts(column) => column.encode(arrays).map(Box::new).map(Chunk::Texts),
            Self::Others(column) => column.encode(arrays).map(Chunk::Others),
        }
    }
}

impl Chunk {
    /// Makes it the next column of `group`.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn append_to<W: Write + Send>(
        self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<()> {
        match self {
            Self::Texts(chunk) => group.append_column(&chunk.bytes, chunk.close),
            Self::Others(chunks) => {
                chunks.into_iter().try_for_each(|chunk| chunk.append_to_row_group(group))
            }
        }
    }
}

/// Encodes by the library. A column's writer is large (tables of a dictionary, of the compressor),
/// so it lives for one chunk, and there are only as many as threads.
#[derive(Debug)]
pub struct Others {
    field: FieldRef,
    writers: ArrowRowGroupWriterFactory,
}

impl Others {
    /// Whether zstd makes `sample` smaller by one byte in [`LEAST`]. Times at random, in the bits
    /// that they differ in, it does not, and takes as long to find that out. Of a sample of less
    /// than a byte a row there is nothing to be said, and of a small one it isn't asked.
    fn gains(&self, sample: &ArrayRef) -> Result<bool> {
        if sample.len() < SMALL {
            return Ok(true);
        }
        let chunks = self.encode(std::iter::once(sample))?;
        let sum = |size: fn(&ColumnChunkMetaData) -> i64| {
            chunks.iter().map(|chunk| size(&chunk.close().metadata)).sum::<i64>()
        };
        let whole = sum(ColumnChunkMetaData::uncompressed_size);
        let left = sum(ColumnChunkMetaData::compressed_size);
        Ok(whole < sample.len() as i64 || left <= whole - whole / LEAST)
    }

    fn encode<'a>(
        &self,
        arrays: impl Iterator<Item = &'a ArrayRef>,
    ) -> Result<Vec<ArrowColumnChunk>> {
        let mut writers = self.writers.create_column_writers(0)?;
        for array in arrays {
            for (leaf, writer) in compute_leaves(&self.field, array)?.iter().zip(&mut writers) {
                writer.write(leaf)?;
            }
        }
        writers.into_iter().map(ArrowColumnWriter::close).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::iter::once;

    use arrow_array::{Float64Array, Int64Array, TimestampMillisecondArray, new_null_array};
    use arrow_schema::Field;

    use super::*;

    fn compression(values: ArrayRef) -> Compression {
        let field = Arc::new(Field::new("c", values.data_type().clone(), true));
        let column = Column::new(&field, once(&values)).unwrap();
        let Chunk::Others(chunks) = column.encode(once(&values)).unwrap() else {
            panic!("it is not of texts")
        };
        chunks[0].close().metadata.compression()
    }

    #[test]
    fn what_zstd_does_not_shrink_stays_as_it_is() {
        let random = |n: i64| {
            let mixed = n.wrapping_mul(0x1e37_79b9_7f4a_7c15);
            (mixed ^ mixed >> 29).wrapping_mul(0x3f58_476d_1ce4_e5b9) >> 32
        };
        let times = (0..5000).map(|n| 1_590_000_000_000 + random(n) % 3_000_000 * 1000);
        let times = TimestampMillisecondArray::from_iter_values(times);
        assert_eq!(compression(Arc::new(times)), Compression::UNCOMPRESSED);
        let prices = (0..5000).map(|n| (random(n) % 50_000) as f64 / 100.0);
        let lines = (0..5000).map(|n| n * 3);
        for values in [
            Arc::new(Float64Array::from_iter_values(prices)) as ArrayRef,
            Arc::new(Int64Array::from_iter_values(lines)),
            new_null_array(&DataType::Float64, 5000),
        ] {
            assert!(matches!(compression(values), Compression::ZSTD(_)));
        }
    }
}
