//! [`Sink`]: who takes what [`super::reader()`] makes of a data file; [`Rejections`]: how rejected
//! records come to it.

use super::batch::Batch;
use super::header::schema::Schema;
use super::rules::rejection::Rejection;
use crate::report::Failure;

/// Takes the records of one data file. Called on the thread that called [`super::reader()`].
///
/// Accepted and rejected records each come in file order; the two need not interleave as in the
/// file. An error of any method ends the reading, and is what it ends with.
pub trait Sink {
    /// How it wants rejected records.
    type Rejections: Rejections;

    /// The header fits the manifest; records follow. Called once, before all else. Gives the empty
    /// [`Rejections`] that each worker begins with a clone of.
    fn begin(&mut self, start: &Start) -> Result<Self::Rejections, Failure>;

    /// Some accepted records.
    fn accept(&mut self, batch: Batch) -> Result<(), Failure>;

    /// Some rejected records.
    fn reject(&mut self, rejections: Self::Rejections) -> Result<(), Failure>;

    /// How far it is. Called after every block, so that the caller can stop too.
    fn progress(&mut self, progress: Progress) -> Result<(), Failure>;
}

/// Some rejected records, written down by the worker that found them: when all of a file are
/// rejected, that is most of the work.
pub trait Rejections: Clone + Send {
    /// Appends one.
    fn add(&mut self, record: &RejectedRecord<'_>);

    /// Whether it holds enough to be passed on, which bounds the memory of a block's rejections.
    fn is_full(&self) -> bool;

    /// All that it holds, to be passed on; it goes on with none.
    #[must_use]
    fn take(&mut self) -> Self;
}

/// What is known of a data file once its header is read.
#[derive(Clone, Debug)]
pub struct Start {
    /// What the batches hold.
    pub schema: Schema,
    /// The header record in UTF-8, without its line end.
    pub header: Vec<u8>,
    /// The header's names.
    pub names: Vec<String>,
    /// What stands between two fields.
    pub delimiter: u8,
    /// How the header's line ends: `\r\n` or `\n`.
    pub line_end: &'static str,
    /// Whether an error file needs a byte order mark to be read as UTF-8 under the same manifest.
    pub needs_mark: bool,
}

/// A record that was rejected.
#[derive(Clone, Debug)]
pub struct RejectedRecord<'a> {
    /// Its line in the data file; the header is line 1.
    pub line: u64,
    /// Its bytes without the line end: UTF-8, except where they are invalid in the file's own
    /// encoding. None for a record over `max-record`, which is never held.
    pub raw: Option<&'a [u8]>,
    /// Why, in the order of the rules; at least one.
    pub reasons: Vec<Rejection<'a>>,
}

/// How far the reading is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the data file as uploaded that are behind us.
    pub bytes: u64,
    /// Records read.
    pub records: u64,
}
