//! The two error files of one import (CSV and JSON lines): the same rejected records in both, of
//! limited size.
//!
//! Each may grow to the size limit of a data file, and the record that reaches the limit is the
//! last: a larger error file could not be uploaded again, and a rejected record of two bytes can
//! take two hundred. Both also stay within the space left in results/, so that an account with
//! many rejected files doesn't fill the shared disk.
//!
//! The workers of [`crate::records`] write [`RejectedLines`]; [`ErrorFiles`] appends them to the
//! files.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use crate::config::Limits;
use crate::records::{
    ErrorFile, FileStart, ReasonCache, RejectedRecord, Rejections, push_json_lines,
};

/// Where rejected records go. Each method is called once, at the first rejection.
pub trait ErrorOutput {
    /// Creates the CSV error file.
    fn error_file(&mut self) -> io::Result<Box<dyn Write>>;

    /// Creates the file of the same rejections for programs, one JSON object per line.
    fn error_lines(&mut self) -> io::Result<Box<dyn Write>>;

    /// Returns how many bytes each file may hold, in addition to the bound of [`Limits`].
    fn room(&mut self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

/// Bytes buffered per file before a write, and per worker before [`RejectedLines`] are passed on:
/// system call and page cache cost less per byte for large writes.
const BUFFER: usize = 256 << 10;

/// Bytes reserved for each buffer of [`RejectedLines`], which is full once a record has made it
/// longer than [`BUFFER`].
const ROOM: usize = BUFFER + BUFFER / 8;

/// Rejected records in the formats of both error files.
#[derive(Clone, Debug)]
pub(super) struct RejectedLines {
    format: Arc<ErrorFile>,
    cache: ReasonCache,
    file: Vec<u8>,
    lines: Vec<u8>,
    /// Where each record ends in `file` and in `lines`.
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

    /// Takes the records out. The cache of reasons stays with `self`.
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
    /// Creates an empty list for a data file that begins with `start`.
    pub fn new(start: &FileStart, limits: &Limits) -> Self {
        let format = Arc::new(ErrorFile::new(start, limits.quote_formulas));
        let cache = ReasonCache::default();
        Self { format, cache, file: Vec::new(), lines: Vec::new(), ends: Vec::new() }
    }

    /// Returns the CSV error file's header.
    pub fn header(&self, start: &FileStart) -> Vec<u8> {
        self.format.header(start)
    }

    /// Returns the number of records.
    pub fn len(&self) -> u64 {
        self.ends.len() as u64
    }

    /// Returns how many records, and how many bytes for each file, still fit if the files hold
    /// `held` bytes and may hold `most`.
    fn fitting(&self, held: (u64, u64), most: u64) -> (u64, (usize, usize)) {
        let is_full = |(file, lines): (usize, usize)| {
            (held.0 + file as u64).max(held.1 + lines as u64) >= most
        };
        if is_full((0, 0)) {
            return (0, (0, 0));
        }
        let last =
            self.ends.iter().position(|end| is_full(*end)).map_or(self.ends.len(), |n| n + 1);
        (last as u64, self.ends[..last].last().copied().unwrap_or_default())
    }
}

/// Both error files of an import, open.
pub(super) struct ErrorFiles {
    file: BufWriter<Box<dyn Write>>,
    lines: BufWriter<Box<dyn Write>>,
    /// Bytes written to each.
    held: (u64, u64),
    most: u64,
}

impl ErrorFiles {
    /// Creates both files and writes the CSV file's `header`.
    pub fn new(output: &mut dyn ErrorOutput, header: &[u8], limits: &Limits) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(BUFFER, output.error_file()?);
        let lines = BufWriter::with_capacity(BUFFER, output.error_lines()?);
        let most = limits.max_data_file.bytes().min(output.room()?);
        file.write_all(header)?;
        Ok(Self { file, lines, held: (header.len() as u64, 0), most })
    }

    /// Appends records to both until one of them is full. Returns how many records were left out.
    pub fn write(&mut self, rejected: &RejectedLines) -> io::Result<u64> {
        let (records, (file, lines)) = rejected.fitting(self.held, self.most);
        self.file.write_all(&rejected.file[..file])?;
        self.lines.write_all(&rejected.lines[..lines])?;
        self.held.0 += file as u64;
        self.held.1 += lines as u64;
        Ok(rejected.len() - records)
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

    /// Three records of ten bytes in one file and twenty in the other.
    fn three() -> RejectedLines {
        let start = FileStart {
            schema: Schema::Profile([].into()),
            header: b"a".to_vec(),
            names: vec!["a".to_owned()],
            dialect: Dialect { delimiter: b',', quoting: Quoting::Doubled },
            line_end: "\n",
            needs_mark: false,
        };
        let ends = vec![(10, 20), (20, 40), (30, 60)];
        let lines = RejectedLines::new(&start, &Limits::default());
        RejectedLines { file: vec![0; 30], lines: vec![0; 60], ends, ..lines }
    }

    #[test]
    fn both_error_files_end_at_the_size_limit() {
        for (held, most, expected) in [
            ((0, 0), 1000, (3, (30, 60))),
            ((0, 0), 61, (3, (30, 60))),
            ((0, 0), 60, (3, (30, 60))),
            ((0, 0), 40, (2, (20, 40))),
            ((0, 0), 39, (2, (20, 40))),
            ((0, 0), 1, (1, (10, 20))),
            ((980, 0), 1000, (2, (20, 40))),
            ((1000, 0), 1000, (0, (0, 0))),
            ((0, 1000), 1000, (0, (0, 0))),
            ((0, 0), 0, (0, (0, 0))),
        ] {
            assert_eq!(three().fitting(held, most), expected, "{held:?} {most}");
        }
    }

    #[test]
    fn an_empty_list_of_rejected_records_fits() {
        assert_eq!(RejectedLines { ends: Vec::new(), ..three() }.fitting((0, 0), 10), (0, (0, 0)));
    }
}
