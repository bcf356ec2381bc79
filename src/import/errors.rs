//! The error files of one import: the same rejected records in both, and neither without end.
//!
//! Each may become as large as a data file, and the record that makes it so is its last: a larger
//! one could not be uploaded again, and two bytes of data can be rejected with two hundred. Nor do
//! they outgrow what there is room for in results/: an account that has its files rejected again and
//! again doesn't fill the disk that all share.

use std::cell::Cell;
use std::io::{self, BufWriter, Write};
use std::rc::Rc;

use super::pipeline::Answers;
use crate::config::Limits;
use crate::records::{ErrorFile, ErrorsJsonl, RejectedRecord, Start};

/// What is gathered before it is written, in bytes: the system call and the page cache cost less
/// for large pieces.
const BUFFER: usize = 256 << 10;

/// Both files, open.
pub(super) struct Errors {
    file: ErrorFile<Counted>,
    lines: ErrorsJsonl<Counted>,
    file_bytes: Rc<Cell<u64>>,
    lines_bytes: Rc<Cell<u64>>,
    most: u64,
}

impl Errors {
    /// Begins both files.
    pub fn new(answers: &mut dyn Answers, start: &Start, limits: &Limits) -> io::Result<Self> {
        let (file, file_bytes) = Counted::new(answers.error_file()?);
        let (lines, lines_bytes) = Counted::new(answers.error_lines()?);
        let most = limits.max_data_file.bytes().min(answers.room()?);
        let file = ErrorFile::new(file, start, limits.quote_formulas)?;
        Ok(Self { file, lines: ErrorsJsonl::new(lines), file_bytes, lines_bytes, most })
    }

    /// Appends a record to both, or to neither when one of them is full.
    pub fn write(&mut self, record: &RejectedRecord<'_>) -> io::Result<bool> {
        if self.file_bytes.get().max(self.lines_bytes.get()) >= self.most {
            return Ok(false);
        }
        self.file.write(record)?;
        self.lines.write(record)?;
        Ok(true)
    }

    /// Flushes both.
    pub fn finish(self) -> io::Result<()> {
        self.file.finish()?;
        self.lines.finish()?;
        Ok(())
    }
}

/// An output that says how many bytes it got.
struct Counted {
    out: BufWriter<Box<dyn Write>>,
    bytes: Rc<Cell<u64>>,
}

impl Counted {
    fn new(out: Box<dyn Write>) -> (Self, Rc<Cell<u64>>) {
        let bytes = Rc::default();
        (Self { out: BufWriter::with_capacity(BUFFER, out), bytes: Rc::clone(&bytes) }, bytes)
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes.set(self.bytes.get() + written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
