//! The two error files of one import (CSV and JSON lines). Both contain the same rejected records,
//! and both have a maximum size.
//!
//! Each file may grow to the size limit of a data file. The record that reaches the limit is the
//! last record of the file. A larger error file could not be uploaded again, and a rejected record
//! of two bytes can take two hundred bytes. Both files must also fit into the remaining space of
//! results/, so that an account with many rejected files doesn't fill the shared disk.
//!
//! The workers of [`crate::records`] write [`RejectedLines`]; [`ErrorFiles`] appends them to the
//! files.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use crate::config::Limits;
use crate::records::{
    ErrorFile, FileStart, ReasonCache, RejectedRecord, Rejections, push_json_lines,
};

/// The destination of rejected records. Each method is called once, at the first rejection.
pub trait ErrorOutput {
    /// Creates the CSV error file of the import.
    fn error_file(&mut self) -> io::Result<Box<dyn Write>>;

    /// Creates the file with the same rejections for programs, one JSON object per line.
    fn error_lines(&mut self) -> io::Result<Box<dyn Write>>;

    /// Returns the maximum number of bytes that each error file may hold. The bound of [`Limits`]
    /// applies as well.
    fn room(&mut self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

/// The number of bytes that are buffered per file before a write, and per worker before
/// [`RejectedLines`] are passed on. For large writes, the system call and the page cache cost less
/// per byte.
const BUFFER: usize = 256 << 10;

/// The number of bytes reserved for each buffer of [`RejectedLines`]. A buffer is full when a
/// record has made it longer than [`BUFFER`].
const ROOM: usize = BUFFER + BUFFER / 8;

/// Rejected records in the formats of both error files.
#[derive(Clone, Debug)]
pub(super) struct RejectedLines {
    format: Arc<ErrorFile>,
    cache: ReasonCache,
    file: Vec<u8>,
    lines: Vec<u8>,
    /// The end position of each record in `file` and in `lines`, in bytes.
    ends: Vec<(usize, usize)>,
}

impl Rejections for RejectedLines {
    fn add(&mut self, record: &RejectedRecord<'_>) {
        if self.ends.is_empty() {
            self.file.reserve(ROOM);
            self.lines.reserve(ROOM);
        }
        self.format.push(record, &mut self.cache, &mut self.file);
        push_json_lines(record, &mut self.cache, &mut self.lines);
        self.ends.push((self.file.len(), self.lines.len()));
    }

    fn is_full(&self) -> bool {
        self.file.len().max(self.lines.len()) >= BUFFER
    }

    /// Removes and returns the records. The cache of reasons stays in `self`.
    fn take(&mut self) -> Self {
        Self {
            format: Arc::clone(&self.format),
            cache: ReasonCache::default(),
            file: std::mem::take(&mut self.file),
            lines: std::mem::take(&mut self.lines),
            ends: std::mem::take(&mut self.ends),
        }
    }
}

impl RejectedLines {
    /// Creates an empty list of rejected records, for a data file that begins with `start`.
    pub fn new(start: &FileStart, limits: &Limits) -> Self {
        let format = Arc::new(ErrorFile::new(start, limits.quote_formulas));
        let cache = ReasonCache::default();
        Self { format, cache, file: Vec::new(), lines: Vec::new(), ends: Vec::new() }
    }

    /// Returns the CSV error file's header.
    pub fn header(&self, start: &FileStart) -> Vec<u8> {
        self.format.header(start)
    }

    /// Returns the number of rejected records.
    pub fn len(&self) -> u64 {
        self.ends.len() as u64
    }

    /// Returns the number of records that still fit into a file, and their bytes. The file has
    /// `held` bytes and may have `most`. `end` returns the end position of a record in that file.
    fn fitting(&self, end: End, held: u64, most: u64) -> (u64, usize) {
        let left = most.saturating_sub(held);
        if left == 0 {
            return (0, 0);
        }
        let filling = self.ends.iter().position(|ends| end(ends) as u64 >= left);
        let records = filling.map_or(self.ends.len(), |n| n + 1);
        (records as u64, self.ends[..records].last().map_or(0, end))
    }
}

/// Returns the end position of a record in one of the files.
type End = fn(&(usize, usize)) -> usize;

/// The numbers of rejected records that did not fit into the error files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub file: u64,
    pub lines: u64,
}

/// The open error files of an import.
pub(super) struct ErrorFiles {
    file: BufWriter<Box<dyn Write>>,
    lines: BufWriter<Box<dyn Write>>,
    /// The numbers of bytes that were written to both files.
    held: (u64, u64),
    most: u64,
}

impl ErrorFiles {
    /// Creates both error files and writes the `header` of the CSV file.
    pub fn new(output: &mut dyn ErrorOutput, header: &[u8], limits: &Limits) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(BUFFER, output.error_file()?);
        let lines = BufWriter::with_capacity(BUFFER, output.error_lines()?);
        let most = limits.max_data_file.bytes().min(output.room()?);
        file.write_all(header)?;
        Ok(Self { file, lines, held: (header.len() as u64, 0), most })
    }

    /// Appends records to each file until it is full. Returns the numbers of records that are left
    /// out.
    pub fn write(&mut self, rejected: &RejectedLines) -> io::Result<LeftOut> {
        let (in_file, file) = rejected.fitting(|ends| ends.0, self.held.0, self.most);
        let (in_lines, lines) = rejected.fitting(|ends| ends.1, self.held.1, self.most);
        self.file.write_all(&rejected.file[..file])?;
        self.lines.write_all(&rejected.lines[..lines])?;
        self.held.0 += file as u64;
        self.held.1 += lines as u64;
        let all = rejected.len();
        Ok(LeftOut { file: all - in_file, lines: all - in_lines })
    }

    pub fn finish(mut self) -> io::Result<()> {
        self.file.flush()?;
        self.lines.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Quoting;
    use crate::records::{Dialect, Schema};

    /// Returns three rejected records. Each takes ten bytes in one file and twenty bytes in the
    /// other file.
    fn three() -> RejectedLines {
        let start = FileStart {
            schema: Schema::Profile([].into()),
            separator_line: Vec::new(),
            header: b"a".to_vec(),
            description: None,
            dialect: Dialect { delimiter: b',', quoting: Quoting::Doubled },
            wide_delimiter: None,
            line_end: "\n",
            needs_mark: false,
        };
        let ends = vec![(10, 20), (20, 40), (30, 60)];
        let lines = RejectedLines::new(&start, &Limits::default());
        RejectedLines { file: vec![0; 30], lines: vec![0; 60], ends, ..lines }
    }

    #[test]
    fn each_error_file_ends_at_the_size_limit() {
        for (held, most, file, lines) in [
            ((0, 0), 1000, (3, 30), (3, 60)),
            ((0, 0), 60, (3, 30), (3, 60)),
            ((0, 0), 40, (3, 30), (2, 40)),
            ((0, 0), 21, (3, 30), (2, 40)),
            ((0, 0), 20, (2, 20), (1, 20)),
            ((0, 0), 1, (1, 10), (1, 20)),
            ((980, 0), 1000, (2, 20), (3, 60)),
            ((1000, 0), 1000, (0, 0), (3, 60)),
            ((0, 1010), 1000, (3, 30), (0, 0)),
            ((0, 0), 0, (0, 0), (0, 0)),
        ] {
            assert_eq!(three().fitting(|ends| ends.0, held.0, most), file, "{held:?} {most}");
            assert_eq!(three().fitting(|ends| ends.1, held.1, most), lines, "{held:?} {most}");
        }
    }

    #[test]
    fn empty_lists_of_rejected_records_have_length_zero() {
        let none = RejectedLines { ends: Vec::new(), ..three() };
        assert_eq!(none.fitting(|ends| ends.0, 0, 10), (0, 0));
    }
}
