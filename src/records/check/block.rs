//! Turns one block into batches and rejections. Pure: the result depends on the block and the plan.

use super::{events, profiles};
use crate::config::Limits;
use crate::records::RejectedRecord;
use crate::records::batch::{Batch, ProfileBatch};
use crate::records::csv::blocks::Block;
use crate::records::csv::lexer::{Lexed, Record, Span, lex, raw_fields};
use crate::records::header::columns::Columns;
use crate::records::header::schema::Schema;
use crate::records::rules::event::Reserved;
use crate::records::rules::record::{FIELD_COUNT, FIELD_TOO_LONG, INVALID_BYTES, RECORD_TOO_LONG};
use crate::records::rules::rejection::{Case, Finding, Rejection, Rule};

/// The parameters for parsing blocks, the same for a whole import.
#[derive(Debug)]
pub struct Plan {
    pub columns: Columns,
    pub schema: Schema,
    pub delimiter: u8,
    pub limits: Limits,
    pub reserved: Reserved,
    /// The column with the items of a Charged event.
    pub items: Option<usize>,
    /// The time for an empty `ts`, in seconds since 1970 UTC.
    pub processing_time: i64,
}

impl Plan {
    pub fn width(&self) -> usize {
        self.columns.header.len()
    }

    /// Returns the rule about its form that a record breaks. Cells are not checked then.
    fn broken_form(&self, record: &Record, cells: &[Span]) -> Option<Finding> {
        let bytes = (record.end - record.start) as usize;
        let max_field = self.limits.max_field.bytes();
        let whole = |rule| Some(Finding { rule, column: None });
        if bytes as u64 > self.limits.max_record.bytes() {
            return whole(&RECORD_TOO_LONG);
        }
        if record.fields as usize != self.width() {
            return whole(&FIELD_COUNT);
        }
        // A field is no longer than its record.
        if bytes as u64 <= max_field {
            return None;
        }
        let cells = &cells[record.cells as usize..][..self.width()];
        let column = cells.iter().position(|cell| cell.len() as u64 > max_field)?;
        Some(Finding { rule: &FIELD_TOO_LONG, column: Some(column as u32) })
    }
}

/// A finding about a record of the block.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    pub record: u32,
    pub finding: Finding,
}

/// The records of a block with the header's form, and their cells.
pub struct Rows<'a> {
    text: &'a str,
    cells: &'a [Span],
    records: &'a [Record],
    /// The line of the block's first byte.
    first_line: u64,
    rows: Vec<Row>,
}

/// A record with the header's form.
#[derive(Clone, Copy)]
struct Row {
    /// Its index in the block.
    record: u32,
    /// The index of its first cell.
    cells: u32,
}

impl<'a> Rows<'a> {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns the block that contains the cells, followed by its unquoted cells.
    pub fn block(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// Iterates over the places of the cells of one column.
    #[inline]
    pub fn spans(&self, column: usize) -> impl Iterator<Item = Span> + use<'_, 'a> {
        let cells = self.cells;
        self.rows.iter().map(move |row| cells[row.cells as usize + column])
    }

    /// Returns the bytes of a cell.
    #[inline]
    pub fn bytes(&self, cell: Span) -> &'a [u8] {
        &self.text.as_bytes()[cell.range()]
    }

    /// Returns the text of a cell.
    #[inline]
    pub fn text(&self, cell: Span) -> &'a str {
        &self.text[cell.range()]
    }

    pub fn cell(&self, row: usize, column: usize) -> &'a str {
        self.text(self.cells[self.rows[row].cells as usize + column])
    }

    pub fn line(&self, row: usize) -> u64 {
        self.first_line + u64::from(self.records[self.rows[row].record as usize].line)
    }

    pub fn found(&self, row: usize, rule: &'static Rule, column: Option<usize>) -> Found {
        let column = column.map(|column| column as u32);
        Found { record: self.rows[row].record, finding: Finding { rule, column } }
    }
}

/// A record with invalid bytes: its start, and its original bytes.
type Invalid = (u32, Vec<u8>);

/// The result of parsing a block.
#[derive(Debug)]
pub struct Parsed {
    pub batches: Vec<Batch>,
    /// Bytes of the file as uploaded that had been read at its end.
    pub consumed: u64,
    first_line: u64,
    /// The block, followed by its unquoted cells.
    pub text: Vec<u8>,
    lexed: Lexed,
    /// Sorted by record.
    found: Vec<Found>,
    invalid: Vec<Invalid>,
}

/// Parses a block.
pub fn parse(block: Block, plan: &Plan) -> Parsed {
    let Block { mut text, first_line, consumed } = block;
    let bytes = text.len();
    let lexed = find_cells(&mut text, plan);
    if let Ok(valid) = simdutf8::basic::from_utf8(&text) {
        let (batches, found) = build(plan, valid, &lexed, &[], first_line);
        return Parsed { batches, consumed, first_line, text, lexed, found, invalid: Vec::new() };
    }
    text.truncate(bytes);
    let invalid = take_invalid(&mut text, plan);
    let lexed = find_cells(&mut text, plan);
    let valid = std::str::from_utf8(&text).expect("invalid bytes were replaced");
    let (batches, found) = build(plan, valid, &lexed, &invalid, first_line);
    Parsed { batches, consumed, first_line, text, lexed, found, invalid }
}

/// Finds the cells of a block, and appends those with quotes inside, unescaped.
fn find_cells(text: &mut Vec<u8>, plan: &Plan) -> Lexed {
    let mut lexed = lex(text, plan.delimiter, plan.width());
    text.append(&mut lexed.unquoted);
    lexed
}

/// Returns the records that break no rule, and the broken rules of the others, sorted by record.
fn build(
    plan: &Plan,
    text: &str,
    lexed: &Lexed,
    invalid: &[Invalid],
    first_line: u64,
) -> (Vec<Batch>, Vec<Found>) {
    let mut found = Vec::new();
    let rows = well_formed(lexed, invalid, plan, &mut found);
    let rows = Rows { text, cells: &lexed.cells, records: &lexed.records, first_line, rows };
    let batches = match &plan.schema {
        Schema::Event(schema) => {
            let batches = events::build(plan, schema, &rows, &mut found);
            batches.into_iter().map(Batch::Events).collect()
        }
        Schema::Profile(properties) => {
            let batch = ProfileBatch::new(properties.clone());
            vec![Batch::Profiles(profiles::build(plan, batch, &rows, &mut found))]
        }
    };
    found.sort_by_key(|found| found.record);
    (batches, found)
}

/// Returns the records with the header's form. Adds the broken rules of the others to `found`.
fn well_formed(
    lexed: &Lexed,
    invalid: &[Invalid],
    plan: &Plan,
    found: &mut Vec<Found>,
) -> Vec<Row> {
    let mut rows = Vec::with_capacity(lexed.records.len());
    let mut invalid = invalid.iter().peekable();
    for (record, at) in lexed.records.iter().zip(0_u32..) {
        let bytes = invalid.next_if(|(start, _)| *start == record.start);
        let invalid_bytes = || {
            bytes.map(|(_, raw)| Finding { rule: &INVALID_BYTES, column: invalid_in(raw, plan) })
        };
        match plan.broken_form(record, &lexed.cells).or_else(invalid_bytes) {
            None => rows.push(Row { record: at, cells: record.cells }),
            Some(finding) => found.push(Found { record: at, finding }),
        }
    }
    rows
}

/// Returns the first column of `record` with bytes that are not UTF-8.
fn invalid_in(record: &[u8], plan: &Plan) -> Option<u32> {
    let fields = raw_fields(record, plan.delimiter).into_iter();
    (0..)
        .zip(fields)
        .find(|(_, field)| std::str::from_utf8(&record[field.clone()]).is_err())
        .map(|(column, _)| column)
}

/// Returns the records of `text` that are not UTF-8, and replaces their bytes beyond ASCII by
/// question marks. Then all of `text` is UTF-8, and every cell keeps its place.
fn take_invalid(text: &mut [u8], plan: &Plan) -> Vec<Invalid> {
    let mut invalid = Vec::new();
    for record in lex(text, plan.delimiter, 0).records {
        let bytes = &mut text[record.start as usize..record.end as usize];
        if std::str::from_utf8(bytes).is_err() {
            invalid.push((record.start, bytes.to_vec()));
            bytes.iter_mut().filter(|byte| !byte.is_ascii()).for_each(|byte| *byte = b'?');
        }
    }
    invalid
}

impl Parsed {
    /// Iterates over the rejected records in file order.
    pub fn rejected<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = RejectedRecord<'a>> {
        let by_record = self.found.chunk_by(|a, b| a.record == b.record);
        by_record.map(|of_one| self.rejected_record(plan, of_one))
    }

    fn rejected_record<'a>(&'a self, plan: &'a Plan, found: &[Found]) -> RejectedRecord<'a> {
        let record = &self.lexed.records[found[0].record as usize];
        let line = self.first_line + u64::from(record.line);
        let reasons =
            found.iter().map(|found| self.reason(plan, record, line, found.finding)).collect();
        let too_long = found.iter().any(|found| std::ptr::eq(found.finding.rule, &RECORD_TOO_LONG));
        let raw = (!too_long).then(|| self.raw(record));
        RejectedRecord { line, raw, reasons }
    }

    fn raw(&self, record: &Record) -> &[u8] {
        match self.invalid.binary_search_by_key(&record.start, |(start, _)| *start) {
            Ok(at) => &self.invalid[at].1,
            Err(_) => &self.text[record.start as usize..record.end as usize],
        }
    }

    fn reason<'a>(
        &'a self,
        plan: &'a Plan,
        record: &Record,
        line: u64,
        finding: Finding,
    ) -> Rejection<'a> {
        let value = finding.column.map(|column| {
            let cell = self.lexed.cells[record.cells as usize + column as usize];
            std::str::from_utf8(&self.text[cell.range()]).expect("the block is UTF-8")
        });
        let column = finding.column.map(|column| plan.columns.header[column as usize].as_str());
        let case = Case {
            value,
            fields: u64::from(record.fields),
            width: plan.width() as u64,
            bytes: u64::from(record.end - record.start),
            limits: &plan.limits,
        };
        finding.rule.reject(line, column, &case)
    }
}

/// Returns the rejection of a record that was too long to keep.
pub fn too_long(plan: &Plan, line: u64, bytes: u64) -> RejectedRecord<'_> {
    let width = plan.width() as u64;
    let case = Case { value: None, fields: 0, width, bytes, limits: &plan.limits };
    RejectedRecord { line, raw: None, reasons: vec![RECORD_TOO_LONG.reject(line, None, &case)] }
}
