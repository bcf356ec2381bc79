//! Splits a stream of text into blocks of whole records, in bounded memory.
//!
//! A block is about [`BLOCK`] bytes long, or consists of one record of at most `max-record` bytes.
//! A longer record is skipped and results in [`FilePiece::TooLong`] with its first bytes. The
//! pieces don't depend on the sizes of reads.
//!
//! A quote that is never closed makes the file unreadable. There is one exception: if earlier
//! records had text after a closing quote, the quote counts as one more such mistake. The record
//! then ends with the line of that quote.

use std::io::Read;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::dialect::Dialect;
use super::fields::KEPT_START;
use super::lexer::ESCAPE_ADVICE;
use super::line_count::{LineCounter, count_lines};
use super::record_ends::{RecordEnds, end_of_open_line};
use crate::records::input::buffer::TextBuffer;
use crate::records::input::decode::Utf8Stream;
use crate::records::input::source::{Meter, read_failure};
use crate::report::Failure;

/// The length of a block in bytes. A block of this length stays in the cache of a core while it is
/// processed.
pub const BLOCK: usize = 512 * 1024;

/// The maximum size in bytes of the block memory that is reused. Only records longer than a block
/// need more memory, and few files have such records.
const MOST_REUSED: usize = 2 * BLOCK;

/// A part of the data file that consists of whole records.
#[derive(Debug)]
pub struct Block {
    /// The text of the block: the records with their line ends, and the empty lines between them.
    pub text: Vec<u8>,
    /// The line number of the block's first byte in the file; the header is line 1.
    pub first_line: u64,
    /// The number of bytes of the file as uploaded that had been read at the end of the block.
    pub consumed: u64,
    /// Whether the file ends with this block.
    pub is_last: bool,
}

/// A part of the data file: a block, or a record that is too long.
#[derive(Debug)]
pub enum FilePiece {
    Block(Block),
    /// A record that is longer than `max-record`.
    TooLong {
        line: u64,
        bytes: u64,
        /// The first [`KEPT_START`] bytes of the record.
        start: Vec<u8>,
    },
}

/// Splits the text of a data file into blocks and records that are too long.
pub struct Splitter<R> {
    stream: Utf8Stream<R>,
    meter: Meter,
    dialect: Dialect,
    record_ends: RecordEnds,
    /// The text that was read but does not belong to a block yet. The text begins with a record.
    text: TextBuffer,
    /// The channel that returns the memory of blocks that are no longer needed.
    used: (Sender<Vec<u8>>, Receiver<Vec<u8>>),
    /// The number of bytes of `text` that `record_ends` has read.
    tracked: usize,
    /// The end of the last whole record in `text`, in bytes. 0 means that `text` has no whole
    /// record.
    end: usize,
    /// The line number in the file of the first byte of `text`.
    line: u64,
    max_record: usize,
    at_end: bool,
}

impl<R: Read> Splitter<R> {
    pub fn new(stream: Utf8Stream<R>, meter: Meter, dialect: Dialect, max_record: usize) -> Self {
        Self {
            stream,
            meter,
            dialect,
            record_ends: RecordEnds::new(dialect),
            text: TextBuffer::default(),
            used: channel(),
            tracked: 0,
            end: 0,
            line: 1,
            max_record,
            at_end: false,
        }
    }

    /// Returns the sender that returns the memory of blocks that are no longer needed.
    pub fn used(&self) -> Sender<Vec<u8>> {
        self.used.0.clone()
    }

    /// Reads and returns the first [`BLOCK`] bytes of the text, or all bytes of a shorter text.
    /// Must be called before [`Self::next`].
    pub fn beginning(&mut self) -> Result<&[u8], Failure> {
        while !self.at_end && self.text.len() < BLOCK {
            self.read(BLOCK - self.text.len())?;
        }
        Ok(&self.text)
    }

    /// Removes the first `length` bytes of the text. If they contain a line end, they must end with
    /// it. Must be called before [`Self::next`].
    pub fn skip(&mut self, length: usize) {
        let mut rest = TextBuffer::default();
        let skipped = std::mem::take(&mut self.text).cut(length, &mut rest);
        self.text = rest;
        self.line += count_lines(&skipped);
    }

    /// Sets the delimiter of the data file. Must be called before [`Self::next`].
    pub fn set_delimiter(&mut self, delimiter: u8) {
        self.dialect.delimiter = delimiter;
        self.record_ends = RecordEnds::new(self.dialect);
    }

    /// Increases the maximum length of later records by `more` bytes.
    pub fn extend_max_record(&mut self, more: usize) {
        self.max_record += more;
    }

    /// Returns the next block or too long record of the file. Returns `None` at the end of the
    /// file.
    pub fn next(&mut self) -> Result<Option<FilePiece>, Failure> {
        self.fill(BLOCK)?;
        while !self.at_end && !self.can_cut() {
            // A line end may need one more byte. If a record is not complete after that byte, the
            // record is too long.
            if self.end == 0 && self.text.len() > self.max_record + 1 {
                return self.skip_record().map(Some);
            }
            self.fill(self.text.len() + BLOCK)?;
        }
        if self.at_end && self.end == 0 && !self.text.is_empty() {
            if self.record_ends.is_quoted() {
                return self.cut_open_lines().map(Some);
            }
            self.end = self.text.len();
        }
        Ok((self.end > 0).then(|| FilePiece::Block(self.cut())))
    }

    /// Returns whether `text` has a whole record and the line end of the last whole record is
    /// complete.
    fn can_cut(&self) -> bool {
        let split_pair = self.end == self.text.len() && self.text.last() == Some(&b'\r');
        self.end > 0 && !split_pair
    }

    /// Returns a block of the lines up to and including the line with the quote that is never
    /// closed.
    fn cut_open_lines(&mut self) -> Result<FilePiece, Failure> {
        if !self.record_ends.had_broken() {
            return Err(unclosed_quote(self.line));
        }
        self.end = end_of_open_line(&self.text, self.dialect);
        let block = self.cut();
        self.record_ends.restart();
        self.tracked = 0;
        Ok(FilePiece::Block(block))
    }

    fn cut(&mut self) -> Block {
        let used = self.used.1.try_iter().find(|used| used.capacity() < MOST_REUSED);
        let rest = TextBuffer::reusing(used.unwrap_or_default());
        let text = std::mem::replace(&mut self.text, rest).cut(self.end, &mut self.text);
        let first_line = self.line;
        self.line += count_lines(&text);
        self.tracked = self.text.len();
        self.end = 0;
        Block { text, first_line, consumed: self.meter.bytes(), is_last: false }
    }

    /// Reads from the file until `text` is `target` bytes long or the file ends.
    fn fill(&mut self, target: usize) -> Result<(), Failure> {
        while !self.at_end && self.text.len() < target {
            self.read(target - self.text.len())?;
        }
        let end = self.record_ends.last_end(&self.text[self.tracked..]);
        self.end = end.map_or(self.end, |end| self.tracked + end);
        self.tracked = self.text.len();
        Ok(())
    }

    fn read(&mut self, most: usize) -> Result<(), Failure> {
        let read = self.stream.append(&mut self.text, most);
        let read = read.map_err(|error| read_failure(&error, &self.meter))?;
        self.at_end = read == 0;
        Ok(())
    }

    /// Skips the record at the start of `text`. `record_ends` has already read all of `text`.
    fn skip_record(&mut self) -> Result<FilePiece, Failure> {
        let line = self.line;
        let mut bytes = 0;
        let mut lines = LineCounter::default();
        let mut end = None;
        let mut record = std::mem::take(&mut self.text);
        let start = record[..record.len().min(KEPT_START)].to_vec();
        while end.is_none() && !self.at_end {
            bytes += record.len() as u64;
            lines.push(&record);
            record.clear();
            let read = self.stream.append(&mut record, BLOCK);
            let read = read.map_err(|error| read_failure(&error, &self.meter))?;
            self.at_end = read == 0;
            end = self.record_ends.first_end(&record);
        }
        if self.at_end && self.record_ends.is_quoted() {
            return Err(unclosed_quote(line));
        }
        // The line end of the record stays in `text`. The lexer skips it as an empty line.
        let end = end.unwrap_or(record.len());
        let passed = record.cut(end, &mut self.text);
        lines.push(&passed);
        // Each line of this record should be a rejected record. However, the lines were not kept
        // in memory.
        if self.record_ends.take_broken() && lines.lines > 0 {
            return Err(broken_lines(line, line + lines.lines));
        }
        self.line += lines.lines;
        self.tracked = 0;
        self.end = 0;
        Ok(FilePiece::TooLong { line, bytes: bytes + passed.len() as u64, start })
    }
}

fn unclosed_quote(line: u64) -> Failure {
    Failure::unreadable(format!("a quote in the record that begins in line {line} is never closed"))
}

fn broken_lines(line: u64, last: u64) -> Failure {
    Failure::unreadable(format!(
        "a quote in the record that begins in line {line} is closed in line {last}, before other \
         text: {ESCAPE_ADVICE}"
    ))
}
