//! The lexer: a block of whole records to the places of its cells. The hot loop of an import.
//!
//! Reads CSV as RFC 4180 says and as the `csv` crate understands what it leaves open (a property
//! test holds the two together): a quote opens a cell only as its first byte; a doubled quote is
//! one quote; after the closing quote the rest of the cell is taken as it is; LF, CRLF and a lone
//! CR end a record; empty lines are skipped. Works on bytes, whatever they encode, because every
//! mark is ASCII and the text is meant to be UTF-8.
//!
//! Invariants: a cell's span lies in the block, or past its end in `unquoted`, the cells that
//! differ from their bytes in the block. A record's first `min(fields, width)` cells are
//! `cells[record.cells..]`. A block is at most 4 GiB, spans included.

use super::line_count::count_lines;
use super::structural::Marks;

/// How much of a block is looked at to make room for its cells, in bytes.
const SAMPLE: usize = 4096;

/// Where a cell's text is: in the block, or, from the block's length on, in [`Lexed::unquoted`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its first byte in the block.
    pub start: u32,
    /// The end of its last byte, its line end excluded.
    pub end: u32,
    /// Line ends in the block before it.
    pub line: u32,
    /// How many fields it has.
    pub fields: u32,
    /// Its first cell's index.
    pub cells: u32,
}

/// A block's cells.
#[derive(Debug, Default)]
pub struct Lexed {
    pub cells: Vec<Span>,
    pub records: Vec<Record>,
    /// Cells with quotes inside them, as they read without.
    pub unquoted: Vec<u8>,
}

impl Span {
    /// The span as a range, to slice by.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }
}

/// Finds the cells of `block`; of a record with more than `width` fields it keeps the first ones.
pub fn lex(block: &[u8], delimiter: u8, width: usize) -> Lexed {
    let lexer = Lexer {
        block,
        delimiter,
        width,
        out: room_for(block, delimiter),
        cell: 0,
        record: 0,
        record_line: 0,
        line: 0,
        fields: 0,
        first_cell: 0,
    };
    // Most files have neither quotes nor carriage returns; then two marks are all there are.
    if memchr::memchr2(b'"', b'\r', block).is_none() {
        lexer.run(Marks::new(block, [delimiter, b'\n']))
    } else {
        lexer.run(Marks::new(block, [delimiter, b'\n', b'\r', b'"']))
    }
}

/// As many cells and records as the block has, if it goes on as it begins.
fn room_for(block: &[u8], delimiter: u8) -> Lexed {
    let begin = &block[..block.len().min(SAMPLE)];
    let count = |mark| memchr::memchr_iter(mark, begin).count() + 1;
    let of_block = |count: usize| count * block.len() / begin.len().max(1) * 9 / 8;
    let records = count(b'\n');
    Lexed {
        cells: Vec::with_capacity(of_block(records + count(delimiter))),
        records: Vec::with_capacity(of_block(records)),
        unquoted: Vec::new(),
    }
}

struct Lexer<'a> {
    block: &'a [u8],
    delimiter: u8,
    width: usize,
    out: Lexed,
    /// Where the current cell began.
    cell: usize,
    /// Where the current record began.
    record: usize,
    /// Line ends before it.
    record_line: u32,
    /// Line ends so far.
    line: u32,
    /// Fields of the current record so far.
    fields: u32,
    /// The index of the current record's first cell.
    first_cell: usize,
}

impl Lexer<'_> {
    /// Takes itself, so that where the marks are but two, and nothing is called for, its state stays
    /// in registers.
    fn run<const N: usize>(mut self, mut marks: Marks<'_, N>) -> Lexed {
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
            }
            // A quote anywhere else is a byte like others.
        }
        if self.cell < self.block.len() || self.fields > 0 {
            self.end_cell(self.cell..self.block.len());
            self.end_record(self.block.len());
        }
        self.out
    }

    #[inline(always)]
    fn end_cell(&mut self, cell: std::ops::Range<usize>) {
        if (self.fields as usize) < self.width {
            self.out.cells.push(Span { start: cell.start as u32, end: cell.end as u32 });
        }
        self.fields += 1;
    }

    /// A line end at `at`: the end of a record, unless the line is empty.
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
        self.out.records.push(Record {
            start: self.record as u32,
            end: end as u32,
            line: self.record_line,
            fields: self.fields,
            cells: self.first_cell as u32,
        });
        self.fields = 0;
        self.first_cell = self.out.cells.len();
    }

    /// A cell whose first byte, at `open`, is a quote: ends it, and its record if it is the last.
    fn quoted(&mut self, open: usize) {
        let (close, doubled) = closing_quote(self.block, open);
        let rest = (close + 1).min(self.block.len());
        let end = self.end_of_rest(rest);
        let cell = if doubled || end > rest {
            self.unquote(open + 1..close, rest..end)
        } else {
            open + 1..close
        };
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

    /// Where the delimiter or line end after a closing quote is.
    fn end_of_rest(&self, from: usize) -> usize {
        memchr::memchr3(self.delimiter, b'\n', b'\r', &self.block[from..])
            .map_or(self.block.len(), |at| from + at)
    }

    /// The cell `inside` quotes with doubled quotes made one, and what comes after the quote.
    fn unquote(
        &mut self,
        inside: std::ops::Range<usize>,
        rest: std::ops::Range<usize>,
    ) -> std::ops::Range<usize> {
        let base = self.block.len();
        let start = base + self.out.unquoted.len();
        let mut from = inside.start;
        while let Some(at) = memchr::memchr(b'"', &self.block[from..inside.end]) {
            self.out.unquoted.extend_from_slice(&self.block[from..=from + at]);
            from += at + 2;
        }
        self.out.unquoted.extend_from_slice(&self.block[from..inside.end]);
        self.out.unquoted.extend_from_slice(&self.block[rest]);
        start..base + self.out.unquoted.len()
    }
}

/// The end of the cell whose opening quote is at `open`, and whether it has doubled quotes; the
/// block's length when there is no closing quote.
fn closing_quote(block: &[u8], open: usize) -> (usize, bool) {
    let mut from = open + 1;
    let mut doubled = false;
    while let Some(at) = memchr::memchr(b'"', &block[from..]) {
        let quote = from + at;
        if block.get(quote + 1) != Some(&b'"') {
            return (quote, doubled);
        }
        doubled = true;
        from = quote + 2;
    }
    (block.len(), doubled)
}

/// Where the fields of one `record` are, quotes included.
pub fn raw_fields(record: &[u8], delimiter: u8) -> Vec<std::ops::Range<usize>> {
    let mut fields = Vec::new();
    let mut start = 0;
    loop {
        let quoted = record.get(start) == Some(&b'"');
        let rest = if quoted { closing_quote(record, start).0 + 1 } else { start };
        let rest = rest.min(record.len());
        let end = memchr::memchr(delimiter, &record[rest..]).map_or(record.len(), |at| rest + at);
        fields.push(start..end);
        if end == record.len() {
            return fields;
        }
        start = end + 1;
    }
}

#[cfg(test)]
mod tests;
