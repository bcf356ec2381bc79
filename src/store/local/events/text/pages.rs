//! Writes the compressed pages of one column chunk in the order of the file.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, StringArray};
use bytes::Bytes;
use parquet::basic::{Compression, Encoding, PageType, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::super::writer_settings::PAGE_BYTES;
use super::compressor::{Compressor, LEVEL, MatchFinder};
use super::definition_levels::DefinitionLevels;

/// A complete column chunk that can be appended to a row group: its bytes, and its metadata for
/// the footer.
#[derive(Debug)]
pub struct TextChunk {
    pub bytes: Bytes,
    pub close: ColumnCloseResult,
}

/// The maximum number of rows in a page, as in other Parquet writers. It limits the decoding work
/// of a reader that skips to a row.
const PAGE_ROWS: usize = 20_000;
/// The minimum space in a page, in bytes. A page with less space is full.
const MIN_ROOM: usize = PAGE_BYTES / 16;

/// Collects the values of a column's data pages, one page after another.
pub trait PageValues<'a> {
    /// Adds the texts of the rows `rows` of `array` to the page.
    fn add(&mut self, array: &'a StringArray, rows: Range<usize>);

    /// Returns the number of bytes of text that still fit into the page.
    fn room(&self) -> usize;

    /// Appends the numbers of the page to `head`. The numbers are lengths or dictionary indexes.
    fn write_numbers(&self, head: &mut Vec<u8>);

    /// Returns the text of the page. It follows the numbers of the page.
    fn text(&self) -> &[u8];

    /// Starts the next data page.
    fn clear_page(&mut self);
}

/// Writes a column chunk: the dictionary page if there is one, and then data pages with the same
/// encoding.
pub struct ChunkWriter {
    descr: ColumnDescPtr,
    written: TrackedWrite<Vec<u8>>,
    compressor: Compressor,
    /// The levels and the numbers of the current page, before compression.
    head: Vec<u8>,
    encoding: Encoding,
    /// The offset of the dictionary page in the file, in bytes.
    dictionary: Option<i64>,
    /// The offset of the first data page in the file, in bytes.
    first_data_page: Option<i64>,
    index: OffsetIndexBuilder,
    data_pages: i32,
    rows: u64,
    compressed: usize,
    uncompressed: usize,
}

impl ChunkWriter {
    /// Begins a chunk of the column `descr` with data pages in the encoding `encoding`. `bytes` is
    /// the approximate length of the chunk.
    pub fn new(
        descr: &ColumnDescPtr,
        encoding: Encoding,
        finder: MatchFinder,
        bytes: usize,
    ) -> Result<Self> {
        Ok(Self {
            descr: Arc::clone(descr),
            written: TrackedWrite::new(Vec::with_capacity(bytes)),
            compressor: Compressor::new(finder)?,
            head: Vec::new(),
            encoding,
            dictionary: None,
            first_data_page: None,
            index: OffsetIndexBuilder::new(),
            data_pages: 0,
            rows: 0,
            compressed: 0,
            uncompressed: 0,
        })
    }

    /// Writes a dictionary page with the body `body`, which has `num_values` texts.
    pub fn write_dictionary(&mut self, num_values: u32, body: &[u8]) -> Result<()> {
        let buf = self.compressor.compress(&[], body)?;
        let encoding = Encoding::PLAIN;
        let page = Page::DictionaryPage { buf, num_values, encoding, is_sorted: false };
        let spec = self.write_page(page, body.len())?;
        self.dictionary = Some(spec.offset as i64);
        Ok(())
    }

    /// Writes the data pages with the values of `arrays`. `values` encodes the pages.
    pub fn write_pages<'a>(
        &mut self,
        arrays: impl Iterator<Item = &'a StringArray>,
        mut values: impl PageValues<'a>,
    ) -> Result<()> {
        let mut levels = DefinitionLevels::new();
        for array in arrays {
            let mut from = 0;
            while from < array.len() {
                let to = from
                    + count_fitting_rows(array, from, PAGE_ROWS - levels.rows(), values.room());
                // A page has at least one text, even if the text exceeds the limit.
                let to = if levels.rows() == 0 { to.max(from + 1) } else { to };
                levels.add(array, from..to);
                values.add(array, from..to);
                if to == from || levels.rows() == PAGE_ROWS || values.room() < MIN_ROOM {
                    self.write_data_page(&mut levels, &mut values)?;
                }
                from = to;
            }
        }
        if levels.rows() > 0 { self.write_data_page(&mut levels, &mut values) } else { Ok(()) }
    }

    fn write_data_page<'a>(
        &mut self,
        levels: &mut DefinitionLevels,
        values: &mut impl PageValues<'a>,
    ) -> Result<()> {
        let rows = levels.rows();
        self.head.clear();
        if self.descr.max_def_level() > 0 {
            levels.append_to(&mut self.head);
        }
        *levels = DefinitionLevels::new();
        values.write_numbers(&mut self.head);
        let page = Page::DataPage {
            buf: self.compressor.compress(&self.head, values.text())?,
            num_values: rows as u32,
            encoding: self.encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let spec = self.write_page(page, self.head.len() + values.text().len())?;
        values.clear_page();
        self.first_data_page.get_or_insert(spec.offset as i64);
        self.index.append_offset_and_size(spec.offset as i64, spec.compressed_size as i32);
        self.index.append_row_count(rows as i64);
        self.data_pages += 1;
        self.rows += rows as u64;
        Ok(())
    }

    fn write_page(&mut self, page: Page, uncompressed: usize) -> Result<PageWriteSpec> {
        let page = CompressedPage::new(page, uncompressed);
        let spec = SerializedPageWriter::new(&mut self.written).write_page(page)?;
        self.compressed += spec.compressed_size;
        self.uncompressed += spec.uncompressed_size;
        Ok(spec)
    }

    pub fn close(self) -> Result<TextChunk> {
        let data = |encoding| PageEncodingStats {
            page_type: PageType::DATA_PAGE,
            encoding,
            count: self.data_pages,
        };
        let mut encodings = vec![Encoding::RLE, self.encoding];
        let mut stats = vec![data(self.encoding)];
        if self.dictionary.is_some() {
            let (page_type, encoding) = (PageType::DICTIONARY_PAGE, Encoding::PLAIN);
            encodings.push(encoding);
            stats.push(PageEncodingStats { page_type, encoding, count: 1 });
        }
        let metadata = ColumnChunkMetaData::builder(self.descr)
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL)?))
            .set_encodings(encodings)
            .set_page_encoding_stats(stats)
            .set_total_compressed_size(self.compressed as i64)
            .set_total_uncompressed_size(self.uncompressed as i64)
            .set_num_values(self.rows as i64)
            .set_dictionary_page_offset(self.dictionary)
            .set_data_page_offset(self.first_data_page.unwrap_or(0))
            .build()?;
        let bytes = Bytes::from(self.written.into_inner()?);
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: self.rows,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(self.index.build()),
        };
        Ok(TextChunk { bytes, close })
    }
}

/// Returns the number of rows of `array` from the row `from` on that fit into `bytes`, at most
/// `rows`.
fn count_fitting_rows(array: &StringArray, from: usize, rows: usize, bytes: usize) -> usize {
    let offsets = &array.value_offsets()[from..];
    let ends = &offsets[1..=rows.min(offsets.len() - 1)];
    let start = offsets[0] as usize;
    ends.partition_point(|end| *end as usize - start <= bytes)
}

/// Returns the texts of the rows `rows` of `array`. Null values are left out.
pub fn texts(array: &StringArray, rows: Range<usize>) -> impl Iterator<Item = &[u8]> + Clone {
    let (offsets, text, nulls) = (array.value_offsets(), array.value_data(), array.nulls());
    let rows = if array.null_count() == array.len() { 0..0 } else { rows };
    let valid = rows.filter(move |row| nulls.is_none_or(|nulls| nulls.is_valid(*row)));
    valid.map(move |row| &text[offsets[row] as usize..offsets[row + 1] as usize])
}
