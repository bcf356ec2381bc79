//! From a stream of text to blocks of whole records, in bounded memory.
//!
//! A block is about [`BLOCK`] bytes long, or one record of up to `max-record`. A longer record is
//! passed over without being held and gives [`Piece::TooLong`]. However the stream is cut into
//! reads, the pieces are the same.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::line_count::{LineCounter, count_lines};
use super::record_ends::Quotes;
use crate::records::input::buffer::Buffer;
use crate::records::input::decode::Utf8Stream;
use crate::records::input::source::Meter;

/// How long a block is, in bytes: small enough to stay in a core's cache until it is a batch.
pub const BLOCK: usize = 512 * 1024;

/// A longer block's memory is not used again, in bytes: it held one long record, as few do.
const MOST_REUSED: usize = 2 * BLOCK;

/// Some whole records.
#[derive(Debug)]
pub struct Block {
    /// They and their line ends; empty lines too.
    pub text: Vec<u8>,
    /// The line of its first byte in the file; the header is line 1.
    pub first_line: u64,
    /// Bytes of the file as uploaded that were read when it was cut.
    pub consumed: u64,
}

/// What comes next in the file.
#[derive(Debug)]
pub enum Piece {
    Block(Block),
    /// A record over `max-record`, which nobody holds.
    TooLong {
        line: u64,
        bytes: u64,
    },
}

/// Why there is no next piece.
#[derive(Debug)]
pub enum SplitError {
    Read(io::Error),
    /// The record that begins in this line has a quote that is never closed.
    UnclosedQuote(u64),
}

/// Cuts a text into pieces.
pub struct Splitter<R> {
    stream: Utf8Stream<R>,
    meter: Meter,
    quotes: Quotes,
    /// What is read and not cut yet; it begins with a record.
    text: Buffer,
    /// The memory of blocks that nobody needs any more.
    used: (Sender<Vec<u8>>, Receiver<Vec<u8>>),
    /// Up to where `quotes` has followed `text`.
    followed: usize,
    /// Where the last whole record in `text` ends; 0 when there is none.
    end: usize,
    /// The line of `text`'s first byte.
    line: u64,
    max_record: usize,
    at_end: bool,
}

impl<R: Read> Splitter<R> {
    pub fn new(stream: Utf8Stream<R>, meter: Meter, delimiter: u8, max_record: usize) -> Self {
        Self {
            stream,
            meter,
            quotes: Quotes::new(delimiter),
            text: Buffer::default(),
            used: channel(),
            followed: 0,
            end: 0,
            line: 1,
            max_record,
            at_end: false,
        }
    }

    /// The meter of the file as uploaded.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Where the texts of blocks may go when nobody needs them any more.
    pub fn used(&self) -> Sender<Vec<u8>> {
        self.used.0.clone()
    }

    /// The next piece; none at the end of the file.
    pub fn next(&mut self) -> Result<Option<Piece>, SplitError> {
        self.fill(BLOCK)?;
        while !self.at_end && !self.can_cut() {
            // With room for the line end, a record that is not whole by now is too long.
            if self.end == 0 && self.text.len() > self.max_record + 1 {
                return self.pass_over().map(Some);
            }
            self.fill(self.text.len() + BLOCK)?;
        }
        if self.at_end && self.end == 0 && !self.text.is_empty() {
            if self.quotes.open() {
                return Err(SplitError::UnclosedQuote(self.line));
            }
            self.end = self.text.len();
        }
        Ok((self.end > 0).then(|| Piece::Block(self.cut())))
    }

    /// Whether whole records are there, and nothing of the last one's line end is still to come.
    fn can_cut(&self) -> bool {
        let split_pair = self.end == self.text.len() && self.text.last() == Some(&b'\r');
        self.end > 0 && !split_pair
    }

    fn cut(&mut self) -> Block {
        let used = self.used.1.try_iter().find(|used| used.capacity() < MOST_REUSED);
        let rest = Buffer::reusing(used.unwrap_or_default());
        let text = std::mem::replace(&mut self.text, rest).cut(self.end, &mut self.text);
        let first_line = self.line;
        self.line += count_lines(&text);
        self.followed = self.text.len();
        self.end = 0;
        Block { text, first_line, consumed: self.meter.bytes() }
    }

    /// Reads until `text` is `target` bytes long or the stream ends.
    fn fill(&mut self, target: usize) -> Result<(), SplitError> {
        while !self.at_end && self.text.len() < target {
            let most = target - self.text.len();
            let read = self.stream.append(&mut self.text, most).map_err(SplitError::Read)?;
            self.at_end = read == 0;
        }
        let end = self.quotes.last_end(&self.text[self.followed..]);
        self.end = end.map_or(self.end, |end| self.followed + end);
        self.followed = self.text.len();
        Ok(())
    }

    /// Passes over the record that `text` begins with. What is read of it was followed already.
    fn pass_over(&mut self) -> Result<Piece, SplitError> {
        let line = self.line;
        let mut bytes = 0;
        let mut lines = LineCounter::default();
        let mut end = None;
        let mut record = std::mem::take(&mut self.text);
        while end.is_none() && !self.at_end {
            bytes += record.len() as u64;
            lines.push(&record);
            record.clear();
            let read = self.stream.append(&mut record, BLOCK).map_err(SplitError::Read)?;
            self.at_end = read == 0;
            end = self.quotes.first_end(&record);
        }
        if self.at_end && self.quotes.open() {
            return Err(SplitError::UnclosedQuote(line));
        }
        // The line end stays, and is an empty line to the lexer.
        let end = end.unwrap_or(record.len());
        let passed = record.cut(end, &mut self.text);
        lines.push(&passed);
        self.line += lines.lines;
        self.followed = 0;
        self.end = 0;
        Ok(Piece::TooLong { line, bytes: bytes + passed.len() as u64 })
    }
}
