//! One column of a Parquet file: texts by our own writer, every other type by the library's.

use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, FieldRef, Schema};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::errors::Result;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use super::settings;
use super::text::{TextChunk, TextColumn};

/// How many row groups are written as the first of them asks for. A file may go on in another way
/// than it begins; to look again is to compress a page three times over.
pub(super) const GROUPS_PER_CHOICE: usize = 32;

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
        let sample = settings::sample(values)?;
        let schema = Arc::new(Schema::new(vec![Arc::clone(field)]));
        let parquet = ArrowSchemaConverter::new().convert(&schema)?;
        if *sample.data_type() == DataType::Utf8 {
            return TextColumn::new(parquet.column(0), &sample).map(Self::Texts);
        }
        let properties = Arc::new(settings::column(&sample));
        // The factory takes its settings from a file; nothing is written to this one.
        let file = SerializedFileWriter::new(io::sink(), parquet.root_schema_ptr(), properties)?;
        let writers = ArrowRowGroupWriterFactory::new(&file, schema);
        Ok(Self::Others(Others { field: Arc::clone(field), writers }))
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
