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
    /// The header record in UTF-8, without its line end.
    pub header: Vec<u8>,
    pub names: Vec<String>,
    pub dialect: Dialect,
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
    pub raw: &'a [u8],
    /// Whether `raw` has only the first whole fields, fewer than the header: the record is over
    /// `max-record`.
    pub is_cut: bool,
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
