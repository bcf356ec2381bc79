//! [`Sink`]: receives the records of a data file from [`super::read()`]. [`Rejections`]: collects
//! rejected records for it.

use super::batch::Batch;
use super::csv::dialect::Dialect;
use super::header::schema::Schema;
use super::rules::rejection::Rejection;
use crate::report::Failure;

/// Receives the records of one data file, on the thread that called [`super::read()`].
///
/// Accepted and rejected records each arrive in file order, but may interleave differently than in
/// the file. An error of any method ends the reading with that error.
pub trait Sink {
    type Rejections: Rejections;

    /// Called once, first: the header fits the manifest, and records follow. Returns an empty
    /// [`Rejections`]; each worker starts with a clone of it.
    fn begin(&mut self, start: &FileStart) -> Result<Self::Rejections, Failure>;

    fn accept(&mut self, batch: Batch) -> Result<(), Failure>;

    fn reject(&mut self, rejections: Self::Rejections) -> Result<(), Failure>;

    /// Receives the progress after every block, and can stop the reading.
    fn progress(&mut self, progress: ReadProgress) -> Result<(), Failure>;
}

/// Collects and formats rejected records in the worker threads, because that is most of the work
/// for a file whose records are all rejected.
pub trait Rejections: Clone + Send {
    fn add(&mut self, record: &RejectedRecord<'_>);

    /// Returns whether enough records are collected to pass them on. This bounds the memory for the
    /// rejections of a block.
    fn is_full(&self) -> bool;

    /// Returns the collected records and continues with none.
    #[must_use]
    fn take(&mut self) -> Self;
}

/// The facts about a data file that are known once its header is read.
#[derive(Clone, Debug)]
pub struct FileStart {
    pub schema: Schema,
    /// The `sep=` line before the header, with its line end; empty if there is none.
    pub separator_line: Vec<u8>,
    /// The header record in UTF-8, without its line end.
    pub header: Vec<u8>,
    /// The ignored column `Failure Description`.
    pub description: Option<usize>,
    pub dialect: Dialect,
    /// The character that the dialect's delimiter replaces.
    pub wide_delimiter: Option<char>,
    /// The line end after the header: `\r\n` or `\n`.
    pub line_end: &'static str,
    /// Whether an error file needs a byte order mark to be read as UTF-8 with the same manifest.
    pub needs_mark: bool,
}

/// A record that was rejected.
#[derive(Clone, Debug)]
pub struct RejectedRecord<'a> {
    /// Its line in the data file; the header is line 1.
    pub line: u64,
    /// Its bytes without the line end: UTF-8, unless they are invalid in the file's own encoding.
    /// Of a record over `max-record` its first whole fields, fewer than the header has; `None` if
    /// not even the first is kept.
    pub raw: Option<&'a [u8]>,
    /// Its field with an earlier `Failure Description`, which the new one replaces.
    pub description: Option<usize>,
    /// Whether an empty field follows `raw`. Without it the new description would complete a short
    /// record, whose cells may be in wrong columns.
    pub has_empty_end: bool,
    /// In the order of the rules; at least one.
    pub reasons: Vec<Rejection<'a>>,
}

/// The progress of reading a data file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadProgress {
    /// Bytes of the data file as uploaded that were processed.
    pub bytes: u64,
    pub records: u64,
}
