//! [`Sink`]: receives the records that [`super::read()`] reads from a data file. [`Rejections`]:
//! collects the rejected records for a sink.

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

    /// Receives the progress of reading after every block. An error stops the reading.
    fn progress(&mut self, progress: ReadProgress) -> Result<(), Failure>;
}

/// Collects and formats rejected records in the worker threads. If all records of a file are
/// rejected, the formatting is most of the work.
pub trait Rejections: Clone + Send {
    fn add(&mut self, record: &RejectedRecord<'_>);

    /// Returns whether the collected records must be passed to the sink. This limits the memory
    /// for the rejections of a block.
    fn is_full(&self) -> bool;

    /// Removes and returns the rejected records that were collected.
    #[must_use]
    fn take(&mut self) -> Self;
}

/// The facts about a data file that are known after its header was read.
#[derive(Clone, Debug)]
pub struct FileStart {
    pub schema: Schema,
    /// The `sep=` line before the header, with its line end. Empty if the file has no such line.
    pub separator_line: Vec<u8>,
    /// The header record in UTF-8, without its line end.
    pub header: Vec<u8>,
    /// The index of the column `Failure Description` if the column is ignored.
    pub description: Option<usize>,
    pub dialect: Dialect,
    /// The delimiter of the data file if it is not an ASCII character. In memory, the delimiter of
    /// the dialect takes its place.
    pub wide_delimiter: Option<char>,
    /// The line end after the header: `\r\n` or `\n`.
    pub line_end: &'static str,
    /// Whether an error file needs a byte order mark. With the mark, it is read as UTF-8 with the
    /// same manifest.
    pub needs_mark: bool,
}

/// A record that was rejected, and the reasons for the rejection.
#[derive(Clone, Debug)]
pub struct RejectedRecord<'a> {
    /// The line number of the record in the data file. The header is in line 1.
    pub line: u64,
    /// The bytes of the record without the line end. They are UTF-8, unless they are invalid in the
    /// file's own encoding. For a record over `max-record`, only some complete fields from its
    /// start are kept, and fewer than the header has; `None` if no field is kept.
    pub raw: Option<&'a [u8]>,
    /// The index of the field with the `Failure Description` from an earlier error file. The new
    /// description replaces this field.
    pub description: Option<usize>,
    /// Whether an empty field follows `raw` in the error file. Without it, the description would
    /// complete a short record, whose cells may be in the wrong columns.
    pub has_empty_end: bool,
    /// The reasons for the rejection in the order of the rules. There is at least one reason.
    pub reasons: Vec<Rejection<'a>>,
}

/// The progress of reading a data file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadProgress {
    /// The number of bytes of the data file as uploaded that were processed until now.
    pub bytes: u64,
    pub records: u64,
}
