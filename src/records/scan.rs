//! [`Scan`]: reads the header and the records of a data file without checking the rules.
//!
//! A scan reads a file by the same code as [`read()`](super::read()), so a scan and an import find
//! the same cells.

use std::io::{Cursor, Read};
use std::ops::ControlFlow;

use super::csv::blocks::{Block, FilePiece, Splitter};
use super::csv::dialect::Dialect;
use super::csv::lexer::{LexedBlock, RecordSpan, lex};
use super::header::open::{Input, OpenText, open_text};
use super::input::buffer::TextBuffer;
use super::input::decode::Utf8Stream;
use super::input::decompress::{Compression, Decompressor};
use super::input::source::{Meter, MeteredInput, read_failure};
use crate::config::Limits;
use crate::manifest::{Encoding, Manifest};
use crate::report::Failure;
use crate::sanitize::normalized;

/// The maximum number of bytes that [`read_head`] returns.
pub const HEAD: usize = 1 << 20;

/// A data file whose header was read, and whose records can be read next.
pub struct Scan<R: Read> {
    /// The names of the columns. The names are normalised and have no white space at the start and
    /// end.
    pub header: Vec<String>,
    dialect: Dialect,
    first: Option<Block>,
    splitter: Splitter<Decompressor<Input<R>>>,
}

/// One record of a data file.
#[derive(Clone, Copy)]
pub struct ScannedRecord<'a> {
    text: &'a [u8],
    unquoted: &'a [u8],
    lexed: &'a LexedBlock,
    span: RecordSpan,
    /// The line number of the record in the file. The header is in line 1.
    pub line: u64,
}

impl ScannedRecord<'_> {
    /// Returns the cells of the record. Returns `None` if a cell has bytes that are not UTF-8.
    pub fn cells(&self) -> Option<impl Iterator<Item = &str>> {
        let RecordSpan { cells, fields, .. } = self.span;
        let spans = &self.lexed.cells[cells as usize..][..fields as usize];
        let cell = |at: usize| {
            let range = spans[at].range();
            let base = self.text.len();
            let bytes = match range.start.checked_sub(base) {
                Some(start) if !self.unquoted.is_empty() => &self.unquoted[start..range.end - base],
                _ => &self.text[range],
            };
            std::str::from_utf8(bytes).ok()
        };
        (0..spans.len()).all(|at| cell(at).is_some()).then(move || {
            // All cells of the record are valid UTF-8, so the default value is never used.
            (0..spans.len()).map(move |at| cell(at).unwrap_or_default())
        })
    }

    /// Returns whether the record is one line of a record whose quoting is broken. Such a line has
    /// no fields.
    pub fn is_broken(&self) -> bool {
        self.span.broken.is_some()
    }

    /// Returns the number of fields that the record has.
    pub fn fields(&self) -> usize {
        self.span.fields as usize
    }
}

impl<R: Read> Scan<R> {
    /// Opens a data file and reads its header. The scan uses only the delimiter, the encoding and
    /// the quoting of the manifest.
    pub fn open(
        input: R,
        file_name: &str,
        manifest: &Manifest,
        limits: &Limits,
    ) -> Result<Self, Failure> {
        let meter = Meter::default();
        let opened = open_text(input, file_name, manifest, limits, &meter)?;
        let OpenText { header, splitter, .. } = opened;
        let names = header.names.iter().map(|name| normalized(name).trim().to_owned()).collect();
        Ok(Self { header: names, dialect: header.dialect, first: Some(header.rest), splitter })
    }

    /// Calls `visit` for each record in file order, until `visit` returns `Break`. The second
    /// argument is the number of bytes that were read from the file as uploaded. Records over the
    /// limits are left out.
    ///
    /// # Errors
    /// The file can't be read to its end. `visit` was called for all records before the fault.
    pub fn each_record(
        &mut self,
        visit: &mut dyn FnMut(&ScannedRecord<'_>, u64) -> ControlFlow<()>,
    ) -> Result<(), Failure> {
        while let Some(block) = self.next_block()? {
            let lexed = lex(&block.text, self.dialect, usize::MAX);
            for span in &lexed.records {
                let record = ScannedRecord {
                    text: &block.text,
                    unquoted: &lexed.unquoted,
                    lexed: &lexed,
                    span: *span,
                    line: block.first_line + u64::from(span.line),
                };
                if visit(&record, block.consumed).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn next_block(&mut self) -> Result<Option<Block>, Failure> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        loop {
            match self.splitter.next()? {
                None => return Ok(None),
                Some(FilePiece::Block(block)) => return Ok(Some(block)),
                Some(FilePiece::TooLong { .. }) => {}
            }
        }
    }
}

/// Reads the first [`HEAD`] bytes of a data file. The returned bytes are decompressed, but still
/// have the encoding of the file.
pub fn read_head(input: impl Read, file_name: &str, limits: &Limits) -> Result<Vec<u8>, Failure> {
    let compression = Compression::of(file_name).ok_or_else(|| {
        Failure::unreadable("the data file's name must end in .csv, .csv.gz or .csv.zst")
    })?;
    let meter = Meter::default();
    let source = MeteredInput::new(input, meter.clone(), limits.max_data_file);
    let mut head = Vec::new();
    Decompressor::open(source, compression, limits.max_data_file)
        .and_then(|text| text.take(HEAD as u64).read_to_end(&mut head))
        .map_err(|error| read_failure(&error, &meter))?;
    Ok(head)
}

/// Decodes the first bytes of a file to UTF-8, and removes the byte order mark.
pub fn decode_head(head: &[u8], encoding: Option<Encoding>) -> Vec<u8> {
    let mut text = TextBuffer::default();
    if let Ok((mut stream, _)) = Utf8Stream::open(Cursor::new(head), encoding) {
        // Reading from memory never fails.
        while stream.append(&mut text, HEAD).is_ok_and(|read| read > 0) {}
    }
    text.to_vec()
}
