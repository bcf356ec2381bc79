//! The lexer: finds the cells of a block of whole records. Its loop takes much of the time of an
//! import.
//!
//! The lexer reads CSV by RFC 4180. If the RFC has no rule, the lexer works like the `csv` crate; a
//! property test compares the two. A quote opens a quoted cell only as the first byte of the cell.
//! A doubled quote is one quote. LF, CRLF and a lone CR end a record. Empty lines are skipped. The
//! lexer works on bytes, because all structural characters are ASCII and the text is UTF-8.
//!
//! The quoting of a record is broken if text follows a closing quote, or if a quoted cell with a
//! delimiter inside has a space before its quote. The cells of such a record are unknown, so each
//! of its lines becomes a record without fields. To find the end of such a record, the lexer and
//! `record_ends` read the text after the closing quote as literal text.
//!
//! Invariants: the span of a cell is in the block. If the content of the cell differs from its
//! bytes in the block, the span is in `unquoted`, whose positions follow the end of the block. The
//! first `min(fields, width)` cells of a record begin at `cells[record.cells]`. A block and its
//! unquoted cells have at most 4 GiB.

use super::dialect::Dialect;
use super::line_count::count_lines;
use super::structural::StructuralBytes;
use crate::manifest::Quoting;

/// The number of bytes of a block that are sampled to estimate the number of its cells.
const SAMPLE: usize = 4096;

/// The position of a cell's text in the block. Positions beyond the end of the block are positions
/// in [`LexedBlock::unquoted`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

/// The position of a record in its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordSpan {
    /// The position of the record's first byte in the block.
    pub start: u32,
    /// The position after the record's last byte in the block. The line end of the record does not
    /// count.
    pub end: u32,
    /// The number of line ends between the start of the block and this record.
    pub line: u32,
    /// The number of fields of the record. 0 if the record is a line of a record whose quoting is
    /// broken.
    pub fields: u32,
    /// The index of the record's first cell among the cells of the block.
    pub cells: u32,
    pub broken: Option<BrokenQuoting>,
}

/// The advice to a partner whose file has text after a closing quote.
pub const ESCAPE_ADVICE: &str =
    "write a quote inside a cell twice, or set escape/quote in the manifest";

/// The reason why the quoting of a record is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenQuoting {
    /// The record has text after a closing quote, or a quote that is never closed.
    TextAfterQuote,
    /// The record has a space before the opening quote of a cell that contains a delimiter or a
    /// line end.
    SpaceBeforeQuote,
}

/// The records and cells that the lexer found in a block.
#[derive(Debug, Default)]
pub struct LexedBlock {
    pub cells: Vec<Span>,
    pub records: Vec<RecordSpan>,
    /// The unescaped content of each cell that has quotes inside, concatenated.
    pub unquoted: Vec<u8>,
}

impl Span {
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }
}

/// Finds the records and cells of `block`. If a record has more than `width` fields, the function
/// keeps only its first `width` cells.
pub fn lex(block: &[u8], dialect: Dialect, width: usize) -> LexedBlock {
    let delimiter = dialect.delimiter;
    let lexer = Lexer {
        block,
        dialect,
        delimiter,
        width,
        out: room_for(block, delimiter),
        broken: Vec::new(),
        cell: 0,
        record: 0,
        record_line: 0,
        line: 0,
        fields: 0,
        first_cell: 0,
    };
    // In a file without quoting, a quote is an ordinary byte of the text.
    let quote = if dialect.quoting == Quoting::None { b'\r' } else { b'"' };
    // Most files have neither quotes nor carriage returns, so the search for two structural bytes
    // is sufficient.
    if memchr::memchr2(quote, b'\r', block).is_none() {
        lexer.run(StructuralBytes::new(block, [delimiter, b'\n']))
    } else {
        lexer.run(StructuralBytes::new(block, [delimiter, b'\n', b'\r', quote]))
    }
}

/// Reserves memory for the cells and records of the block. Their numbers are estimated from the
/// beginning of the block.
fn room_for(block: &[u8], delimiter: u8) -> LexedBlock {
    let begin = &block[..block.len().min(SAMPLE)];
    let count = |mark| memchr::memchr_iter(mark, begin).count() + 1;
    let of_block = |count: usize| count * block.len() / begin.len().max(1) * 9 / 8;
    let records = count(b'\n');
    LexedBlock {
        cells: Vec::with_capacity(of_block(records + count(delimiter))),
        records: Vec::with_capacity(of_block(records)),
        unquoted: Vec::new(),
    }
}

struct Lexer<'a> {
    block: &'a [u8],
    dialect: Dialect,
    delimiter: u8,
    width: usize,
    out: LexedBlock,
    /// The indexes of the records whose quoting is broken, each with the reason.
    broken: Vec<(usize, BrokenQuoting)>,
    /// The position in the block at which the current cell starts.
    cell: usize,
    /// The position in the block at which the current record starts.
    record: usize,
    /// The number of line ends in the block before the current record.
    record_line: u32,
    line: u32,
    /// The number of fields of the current record that were found until now.
    fields: u32,
    /// The index of the current record's first cell among the cells of the block.
    first_cell: usize,
}

impl Lexer<'_> {
    /// Finds the cells of the block. The compiler keeps the state in registers when `N` is 2, if
    /// the function is inlined.
    #[inline(always)]
    fn run<const N: usize>(mut self, mut marks: StructuralBytes<'_, N>) -> LexedBlock {
        while let Some(at) = marks.next() {
            let byte = self.block[at];
            if byte == self.delimiter {
                self.end_cell(self.cell..at);
                self.cell = at + 1;
            } else if N == 2 || byte != b'"' {
                self.end_line(at);
                if self.cell > at + 1 {
                    marks.skip_to(self.cell);
                }
            } else if at == self.cell {
                self.quoted(at);
                marks.skip_to(self.cell);
            } else if matches!(self.block[self.cell], b' ' | b'\t') {
                self.spaced(at);
            }
            // A quote at any other position is an ordinary byte of the text.
        }
        if self.cell < self.block.len() || self.fields > 0 {
            self.end_cell(self.cell..self.block.len());
            self.end_record(self.block.len());
        }
        let Self { block, mut out, broken, .. } = self;
        if !broken.is_empty() {
            split_broken(block, &broken, &mut out.records);
        }
        out
    }

    #[inline(always)]
    fn end_cell(&mut self, cell: std::ops::Range<usize>) {
        if (self.fields as usize) < self.width {
            self.out.cells.push(Span { start: cell.start as u32, end: cell.end as u32 });
        }
        self.fields += 1;
    }

    /// Handles a line end at the position `at`. A line end ends a record unless the line is empty.
    #[inline(always)]
    fn end_line(&mut self, at: usize) {
        if at > self.record {
            self.end_cell(self.cell..at);
            self.end_record(at);
        }
        self.next_line(at);
    }

    #[inline(always)]
    fn next_line(&mut self, at: usize) {
        let pair = self.block[at] == b'\r' && self.block.get(at + 1) == Some(&b'\n');
        self.line += 1;
        self.cell = at + 1 + usize::from(pair);
        self.record = self.cell;
        self.record_line = self.line;
    }

    #[inline(always)]
    fn end_record(&mut self, end: usize) {
        self.out.records.push(RecordSpan {
            start: self.record as u32,
            end: end as u32,
            line: self.record_line,
            fields: self.fields,
            cells: self.first_cell as u32,
            broken: None,
        });
        self.fields = 0;
        self.first_cell = self.out.cells.len();
    }

    /// Handles the quoted cell whose opening quote is at `open`. Ends the cell, and also ends the
    /// record if the cell is its last cell.
    fn quoted(&mut self, open: usize) {
        let (close, escaped) = self.dialect.closing_quote(self.block, open);
        let rest = (close + 1).min(self.block.len());
        let end = self.end_of_cell(rest);
        let cell = if escaped { self.unquote(open + 1..close) } else { open + 1..close };
        if end > rest || close == self.block.len() {
            self.mark_broken(BrokenQuoting::TextAfterQuote);
        }
        self.line += count_lines(&self.block[open..close]) as u32;
        self.end_cell(cell);
        if self.block.get(end) == Some(&self.delimiter) {
            self.cell = end + 1;
            return;
        }
        self.end_record(end);
        if end < self.block.len() {
            self.next_line(end);
        } else {
            self.cell = end;
        }
    }

    /// Handles the quote at the position `at` in a cell that begins with a space.
    #[cold]
    fn spaced(&mut self, at: usize) {
        let cell = &self.block[self.cell..self.end_of_cell(at)];
        if self.dialect.opens_after_space(cell) {
            self.mark_broken(BrokenQuoting::SpaceBeforeQuote);
        }
    }

    /// Notes that the quoting of the current record is broken.
    #[cold]
    fn mark_broken(&mut self, how: BrokenQuoting) {
        let record = self.out.records.len();
        if self.broken.last().is_none_or(|(last, _)| *last != record) {
            self.broken.push((record, how));
        }
    }

    /// Returns the position of the first delimiter or line end at or after `from`.
    fn end_of_cell(&self, from: usize) -> usize {
        memchr::memchr3(self.delimiter, b'\n', b'\r', &self.block[from..])
            .map_or(self.block.len(), |at| from + at)
    }

    /// Appends the unescaped form of the text at `inside`, which is the text between the quotes of
    /// a cell. Returns the position of the appended text.
    fn unquote(&mut self, inside: std::ops::Range<usize>) -> std::ops::Range<usize> {
        let base = self.block.len();
        let start = base + self.out.unquoted.len();
        self.dialect.unescape(&self.block[inside], &mut self.out.unquoted);
        start..base + self.out.unquoted.len()
    }
}

/// Replaces each record whose quoting is broken by its lines. `broken` has the indexes of these
/// records in order.
#[cold]
fn split_broken(block: &[u8], broken: &[(usize, BrokenQuoting)], records: &mut Vec<RecordSpan>) {
    let mut broken = broken.iter().peekable();
    for (at, record) in std::mem::take(records).into_iter().enumerate() {
        match broken.next_if(|(broken, _)| *broken == at) {
            None => records.push(record),
            Some((_, how)) => {
                push_lines(block, RecordSpan { fields: 0, broken: Some(*how), ..record }, records);
            }
        }
    }
}

/// Adds every line of `record` that is not empty to `records`.
fn push_lines(block: &[u8], record: RecordSpan, records: &mut Vec<RecordSpan>) {
    let (mut start, end) = (record.start as usize, record.end as usize);
    let mut line = record.line;
    while start < end {
        let length = memchr::memchr2(b'\n', b'\r', &block[start..end]);
        let stop = length.map_or(end, |length| start + length);
        if stop > start {
            records.push(RecordSpan { start: start as u32, end: stop as u32, line, ..record });
        }
        let pair = block[stop..end].starts_with(b"\r\n");
        start = stop + 1 + usize::from(pair);
        line += 1;
    }
}

#[cfg(test)]
mod tests;
