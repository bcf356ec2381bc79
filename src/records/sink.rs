//! [`Sink`]: receives the records of a data file from [`super::read()`]. [`Rejections`]: collects
//! the rejected records for a sink.

use super::batch::Batch;
use super::csv::dialect::Dialect;
use super::header::schema::Schema;
use super::rules::rejection::Rejection;
use crate::report::Failure;

/// Receives the records of one data file, on the thread that called [`super::read()`].
///
/// The accepted records arrive in file order, and so do the rejected records. But a rejected record
/// can arrive before an accepted record that precedes it in the file. An error of any method ends
/// the reading with that error.
pub trait Sink {
    type Rejections: Rejections;

    /// Receives the facts about the file. The reader calls it once, before all other methods, when
    /// it knows that the header fits the manifest. Returns an empty [`Rejections`]. Each worker
    /// gets a clone of it.
    fn begin(&mut self, start: &FileStart) -> Result<Self::Rejections, Failure>;

    fn accept(&mut self, batch: Batch) -> Result<(), Failure>;

    fn reject(&mut self, rejections: Self::Rejections) -> Result<(), Failure>;

    /// Receives the progress after every block. An error stops the reading.
    fn progress(&mut self, progress: ReadProgress) -> Result<(), Failure>;
}

/// Collects and formats rejected records in the worker threads. If all records of a file are
/// rejected, the formatting is most of the work.
pub trait Rejections: Clone + Send {
    fn add(&mut self, record: &RejectedRecord<'_>);

    /// Returns whether the collected records must be passed on. This limits the memory for the
    /// rejections of a block.
    fn is_full(&self) -> bool;

    /// Removes and returns the collected records.
    #[must_use]
    fn take(&mut self) -> Self;
}

/// The facts about a data file that are known after its header was read.
#[derive(Clone, Debug)]
pub struct FileStart {
    pub schema: Schema,
    /// The `sep=` line before the header, with its line end; empty if the file has no such line.
    pub separator_line: Vec<u8>,
    /// The header record in UTF-8, without its line end.
    pub header: Vec<u8>,
    /// The index of the ignored column `Failure Description`.
    pub description: Option<usize>,
    pub dialect: Dialect,
    /// The delimiter of the data file, if it is beyond ASCII. The dialect's delimiter replaces it
    /// in memory.
    pub wide_delimiter: Option<char>,
    /// The line end after the header: `\r\n` or `\n`.
    pub line_end: &'static str,
    /// Whether an error file needs a byte order mark, so that it is read as UTF-8 with the same
    /// manifest.
    pub needs_mark: bool,
}

/// A record that was rejected.
#[derive(Clone, Debug)]
pub struct RejectedRecord<'a> {
    /// The line number of the record in the data file; the header is line 1.
    pub line: u64,
    /// The bytes of the record without the line end. They are UTF-8, unless they are invalid in the
    /// file's own encoding. For a record over `max-record`, only some complete fields from its
    /// start are kept, and fewer than the header has; `None` if no field is kept.
    pub raw: Option<&'a [u8]>,
    /// The index of the field with the `Failure Description` of an earlier error file. The new
    /// description replaces it.
    pub description: Option<usize>,
    /// Whether an empty field follows `raw` in the error file. Without it, the description would
    /// complete a short record, whose cells may be in the wrong columns.
    pub has_empty_end: bool,
    /// The reasons in the order of the rules. There is at least one reason.
    pub reasons: Vec<Rejection<'a>>,
}

/// The progress of reading a data file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadProgress {
    /// The number of processed bytes of the data file as uploaded.
    pub bytes: u64,
    pub records: u64,
}
