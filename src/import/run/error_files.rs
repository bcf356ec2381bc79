//! The error files of one import: the same rejected records in both, and neither without end.
//!
//! Each may become as large as a data file, and the record that makes it so is its last: a larger
//! one could not be uploaded again, and two bytes of data can be rejected with two hundred. Nor do
//! they outgrow what there is room for in results/: an account that has its files rejected again and
//! again doesn't fill the disk that all share.
//!
//! The workers of [`crate::records`] write [`Lines`]; what is left to [`Errors`] is to append them.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use super::pipeline::Answers;
use crate::config::Limits;
use crate::records::{ErrorFile, Phrases, RejectedRecord, Rejections, Start, push_json_lines};

/// What is gathered before it is written, in bytes: the system call and the page cache cost less
/// for large pieces. Also what a worker gathers of a block.
const BUFFER: usize = 256 << 10;

/// What a piece takes in memory, in bytes: it is full when a record has made it longer than
/// [`BUFFER`].
const ROOM: usize = BUFFER + BUFFER / 8;

/// Rejected records as both error files have them.
#[derive(Clone, Debug)]
pub struct Lines {
    format: Arc<ErrorFile>,
    phrases: Phrases,
    file: Vec<u8>,
    lines: Vec<u8>,
    /// Where each record ends in `file` and in `lines`.
    ends: Vec<(usize, usize)>,
}

impl Rejections for Lines {
    fn add(&mut self, record: &RejectedRecord<'_>) {
        if self.ends.is_empty() {
            self.file.reserve(ROOM);
            self.lines.reserve(ROOM);
        }
        self.format.push(record, &mut self.phrases, &mut self.file);
        push_json_lines(record, &mut self.phrases, &mut self.lines);
        self.ends.push((self.file.len(), self.lines.len()));
    }

    fn is_full(&self) -> bool {
        self.file.len().max(self.lines.len()) >= BUFFER
    }

    /// Words stay with who goes on.
    fn take(&mut self) -> Self {
        Self {
            format: Arc::clone(&self.format),
            phrases: Phrases::default(),
            file: std::mem::take(&mut self.file),
            lines: std::mem::take(&mut self.lines),
            ends: std::mem::take(&mut self.ends),
        }
    }
}

impl Lines {
    /// None yet, of a data file that begins with `start`.
    pub fn new(start: &Start, limits: &Limits) -> Self {
        let format = Arc::new(ErrorFile::new(start, limits.quote_formulas));
        let phrases = Phrases::default();
        Self { format, phrases, file: Vec::new(), lines: Vec::new(), ends: Vec::new() }
    }

    /// What the error file begins with.
    pub fn header(&self, start: &Start) -> Vec<u8> {
        self.format.header(start)
    }

    /// How many records.
    pub fn len(&self) -> u64 {
        self.ends.len() as u64
    }

    /// Up to where both files take them, when they hold `held` bytes and may hold `most`: the
    /// number of records, and of bytes of each.
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

/// Both files, open.
pub struct Errors {
    file: BufWriter<Box<dyn Write>>,
    lines: BufWriter<Box<dyn Write>>,
    /// How many bytes each holds.
    held: (u64, u64),
    most: u64,
}

impl Errors {
    /// Begins both files, the error file with its `header`.
    pub fn new(answers: &mut dyn Answers, header: &[u8], limits: &Limits) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(BUFFER, answers.error_file()?);
        let lines = BufWriter::with_capacity(BUFFER, answers.error_lines()?);
        let most = limits.max_data_file.bytes().min(answers.room()?);
        file.write_all(header)?;
        Ok(Self { file, lines, held: (header.len() as u64, 0), most })
    }

    /// Appends records to both until one of them is full; gives how many were left out.
    pub fn write(&mut self, rejected: &Lines) -> io::Result<u64> {
        let (records, (file, lines)) = rejected.fitting(self.held, self.most);
        self.file.write_all(&rejected.file[..file])?;
        self.lines.write_all(&rejected.lines[..lines])?;
        self.held.0 += file as u64;
        self.held.1 += lines as u64;
        Ok(rejected.len() - records)
    }

    /// Flushes both.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.flush()?;
        self.lines.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Schema;

    /// Three records, of ten bytes in the one file and twenty in the other.
    fn three() -> Lines {
        let start = Start {
            schema: Schema::Profile([].into()),
            header: b"a".to_vec(),
            names: vec!["a".to_owned()],
            delimiter: b',',
            line_end: "\n",
            needs_mark: false,
        };
        let ends = vec![(10, 20), (20, 40), (30, 60)];
        let lines = Lines::new(&start, &Limits::default());
        Lines { file: vec![0; 30], lines: vec![0; 60], ends, ..lines }
    }

    #[test]
    fn the_record_that_fills_one_file_is_the_last_of_both() {
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
    fn a_piece_that_ended_a_full_file_is_followed_by_nothing() {
        assert_eq!(Lines { ends: Vec::new(), ..three() }.fitting((0, 0), 10), (0, (0, 0)));
    }
}
