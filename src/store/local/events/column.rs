//! The columns of a Parquet file of events. Text columns use our own encoder, and all other
//! columns use the encoder of the library.

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

use super::text::TextColumn;
use super::text::pages::TextChunk;
use super::writer_settings::{column_properties, take_sample};

/// The number of row groups after which the encodings are chosen again, because the values may
/// have changed. A choice costs as much as compressing a page three times.
pub(super) const GROUPS_PER_CHOICE: usize = 32;

/// The minimum saving for which zstd is used: one byte in this number of bytes.
const MIN_SAVING: i64 = 16;

/// The minimum number of values in a sample. A column with a smaller sample is always compressed.
const MIN_SAMPLE: usize = 512;

/// The encoders of an import's columns.
#[derive(Debug, Default)]
pub struct ColumnEncoders {
    columns: Vec<ColumnEncoder>,
    /// The number of row groups that were encoded until now.
    groups: usize,
}

impl ColumnEncoders {
    /// Returns the encoders for the next row group, which has the rows of `batches`.
    pub fn for_group(&mut self, batches: &[RecordBatch]) -> Result<&[ColumnEncoder]> {
        if let (true, Some(first)) =
            (self.groups.is_multiple_of(GROUPS_PER_CHOICE), batches.first())
        {
            let fields = first.schema_ref().fields().iter().enumerate();
            let column =
                |(n, field)| ColumnEncoder::new(field, batches.iter().map(|b| b.column(n)));
            self.columns = fields.map(column).collect::<Result<_>>()?;
        }
        self.groups += 1;
        Ok(&self.columns)
    }
}

/// An encoder for the chunks of one column.
#[derive(Debug)]
pub enum ColumnEncoder {
    Text(TextColumn),
    Library(LibraryColumn),
}

/// An encoded column chunk, which is one column of a row group.
#[derive(Debug)]
pub enum ColumnChunk {
    Text(Box<TextChunk>),
    Library(Vec<ArrowColumnChunk>),
}

impl ColumnEncoder {
    /// Chooses the encoder of a column according to its first values, `values`.
    pub fn new<'a>(field: &FieldRef, values: impl Iterator<Item = &'a ArrayRef>) -> Result<Self> {
        let sample = take_sample(values)?;
        let schema = Arc::new(Schema::new(vec![Arc::clone(field)]));
        let parquet = ArrowSchemaConverter::new().convert(&schema)?;
        if *sample.data_type() == DataType::Utf8 {
            return TextColumn::new(parquet.column(0), &sample).map(Self::Text);
        }
        let settings = column_properties(&sample);
        let library = |settings: WriterPropertiesBuilder| {
            // The factory reads its settings from a file writer. The file writer created for this
            // purpose writes nothing.
            let settings = Arc::new(settings.build());
            let file = SerializedFileWriter::new(io::sink(), parquet.root_schema_ptr(), settings)?;
            let writers = ArrowRowGroupWriterFactory::new(&file, Arc::clone(&schema));
            Ok::<_, ParquetError>(LibraryColumn { field: Arc::clone(field), writers })
        };
        let compressed = library(settings.clone())?;
        let column = match compressed.zstd_pays(&sample)? {
            true => compressed,
            false => library(settings.set_compression(Compression::UNCOMPRESSED))?,
        };
        Ok(Self::Library(column))
    }

    pub fn encode<'a>(
        &self,
        arrays: impl Iterator<Item = &'a ArrayRef> + Clone,
    ) -> Result<ColumnChunk> {
        match self {
            Self::Text(column) => column.encode(arrays).map(Box::new).map(ColumnChunk::Text),
            Self::Library(column) => column.encode(arrays).map(ColumnChunk::Library),
        }
    }
}

impl ColumnChunk {
    /// Appends the column chunk to the row group `group` as its next column.
    pub fn append_to<W: Write + Send>(
        self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<()> {
        match self {
            Self::Text(chunk) => group.append_column(&chunk.bytes, chunk.close),
            Self::Library(chunks) => {
                chunks.into_iter().try_for_each(|chunk| chunk.append_to_row_group(group))
            }
        }
    }
}

/// Encodes with the library. A column writer is large, because it has the tables of the dictionary
/// and of the compressor. Therefore a writer is created for each chunk, and only as many exist as
/// threads.
#[derive(Debug)]
pub struct LibraryColumn {
    field: FieldRef,
    writers: ArrowRowGroupWriterFactory,
}

impl LibraryColumn {
    /// Returns whether zstd saves one byte in [`MIN_SAVING`] of `sample`. On random times it saves
    /// less than that, and takes as long. A sample that is small, or has less than one byte per
    /// row, is too short for a decision. The result is then true.
    fn zstd_pays(&self, sample: &ArrayRef) -> Result<bool> {
        if sample.len() < MIN_SAMPLE {
            return Ok(true);
        }
        let chunks = self.encode(std::iter::once(sample))?;
        let sum = |size: fn(&ColumnChunkMetaData) -> i64| {
            chunks.iter().map(|chunk| size(&chunk.close().metadata)).sum::<i64>()
        };
        let whole = sum(ColumnChunkMetaData::uncompressed_size);
        let left = sum(ColumnChunkMetaData::compressed_size);
        Ok(whole < sample.len() as i64 || left <= whole - whole / MIN_SAVING)
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
        let column = ColumnEncoder::new(&field, once(&values)).unwrap();
        let ColumnChunk::Library(chunks) = column.encode(once(&values)).unwrap() else {
            panic!("it is not a text column")
        };
        chunks[0].close().metadata.compression()
    }

    #[test]
    fn columns_that_zstd_does_not_shrink_stay_uncompressed() {
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
