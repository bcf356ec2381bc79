//! Turns one block into batches and rejections. Pure: the result depends on the block and the plan.

use super::rows::{RecordFinding, RowSpan, Rows};
use super::{events, profiles};
use crate::records::batch::{Batch, ProfileBatch};
use crate::records::csv::blocks::Block;
use crate::records::csv::fields::{RawFields, first_fields};
use crate::records::csv::lexer::{LexedBlock, RecordSpan, Span, lex};
use crate::records::header::plan::ReadPlan;
use crate::records::header::schema::Schema;
use crate::records::rules::catalogue;
use crate::records::rules::record::{
    FIELD_COUNT, FIELD_TOO_LONG, INVALID_BYTES, RECORD_TOO_LONG, TEXT_AFTER_QUOTE,
};
use crate::records::rules::rejection::{BrokenRule, Rejection, RuleCase};
use crate::records::sink::RejectedRecord;

/// A record with invalid bytes: its start, and its original bytes.
type InvalidRecord = (u32, Vec<u8>);

/// The result of parsing a block.
#[derive(Debug)]
pub struct ParsedBlock {
    pub batches: Vec<Batch>,
    /// Bytes of the file as uploaded that had been read at its end.
    pub consumed: u64,
    first_line: u64,
    /// The block, followed by its unquoted cells.
    pub text: Vec<u8>,
    lexed: LexedBlock,
    /// Sorted by record.
    found: Vec<RecordFinding>,
    invalid: Vec<InvalidRecord>,
}

/// Parses a block.
pub fn parse(block: Block, plan: &ReadPlan) -> ParsedBlock {
    let Block { mut text, first_line, consumed } = block;
    let bytes = text.len();
    let lexed = find_cells(&mut text, plan);
    if let Ok(valid) = simdutf8::basic::from_utf8(&text) {
        let (batches, found) = build(plan, valid, &lexed, &[], first_line);
        return ParsedBlock {
            batches,
            consumed,
            first_line,
            text,
            lexed,
            found,
            invalid: Vec::new(),
        };
    }
    text.truncate(bytes);
    let invalid = take_invalid(&mut text, plan);
    let lexed = find_cells(&mut text, plan);
    let valid = std::str::from_utf8(&text).expect("invalid bytes were replaced");
    let (batches, found) = build(plan, valid, &lexed, &invalid, first_line);
    ParsedBlock { batches, consumed, first_line, text, lexed, found, invalid }
}

/// Finds the cells of a block, and appends those with quotes inside, unescaped.
fn find_cells(text: &mut Vec<u8>, plan: &ReadPlan) -> LexedBlock {
    let mut lexed = lex(text, plan.dialect, plan.width());
    text.append(&mut lexed.unquoted);
    if !plan.null.is_empty() {
        let is_null = |cell: &&mut Span| plan.null.contains(&text[cell.range()]);
        lexed.cells.iter_mut().filter(is_null).for_each(|cell| cell.end = cell.start);
    }
    lexed
}

/// Returns the records that break no rule, and the broken rules of the others, sorted by record.
fn build(
    plan: &ReadPlan,
    text: &str,
    lexed: &LexedBlock,
    invalid: &[InvalidRecord],
    first_line: u64,
) -> (Vec<Batch>, Vec<RecordFinding>) {
    let mut found = Vec::new();
    let rows = well_formed(lexed, invalid, plan, &mut found);
    let has_nul = memchr::memchr(0, text.as_bytes()).is_some();
    let (cells, records) = (&lexed.cells, &lexed.records);
    let rows = Rows { text, cells, records, first_line, has_nul, rows };
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
    lexed: &LexedBlock,
    invalid: &[InvalidRecord],
    plan: &ReadPlan,
    found: &mut Vec<RecordFinding>,
) -> Vec<RowSpan> {
    let mut rows = Vec::with_capacity(lexed.records.len());
    let mut invalid = invalid.iter().peekable();
    for (record, at) in lexed.records.iter().zip(0_u32..) {
        let bytes = invalid.next_if(|(start, _)| *start == record.start);
        let invalid_bytes = || {
            bytes.map(|(_, raw)| BrokenRule { rule: &INVALID_BYTES, column: invalid_in(raw, plan) })
        };
        match check_form(plan, record, &lexed.cells).or_else(invalid_bytes) {
            None => rows.push(RowSpan { record: at, cells: record.cells }),
            Some(finding) => found.push(RecordFinding { record: at, finding }),
        }
    }
    rows
}

/// Returns the rule about its form that a record breaks. Cells are not checked then.
fn check_form(plan: &ReadPlan, record: &RecordSpan, cells: &[Span]) -> Option<BrokenRule> {
    let bytes = (record.end - record.start) as usize;
    let max_field = plan.limits.max_field.bytes();
    let whole = |rule| Some(BrokenRule { rule, column: None });
    if bytes as u64 > plan.limits.max_record.bytes() {
        return whole(&RECORD_TOO_LONG);
    }
    if record.fields as usize != plan.width() {
        return whole(if record.broken.is_some() { &TEXT_AFTER_QUOTE } else { &FIELD_COUNT });
    }
    // A field is no longer than its record.
    if bytes as u64 <= max_field {
        return None;
    }
    let cells = &cells[record.cells as usize..][..plan.width()];
    let column = cells.iter().position(|cell| cell.len() as u64 > max_field)?;
    Some(BrokenRule { rule: &FIELD_TOO_LONG, column: Some(column as u32) })
}

/// Returns the first column of `record` with bytes that are not UTF-8.
fn invalid_in(record: &[u8], plan: &ReadPlan) -> Option<u32> {
    let fields = RawFields::of(record, plan.dialect).fields;
    (0..)
        .zip(fields)
        .find(|(_, field)| std::str::from_utf8(&record[field.clone()]).is_err())
        .map(|(column, _)| column)
}

/// Returns the records of `text` that are not UTF-8, and replaces their bytes beyond ASCII by
/// question marks. Then all of `text` is UTF-8, and every cell keeps its place.
fn take_invalid(text: &mut [u8], plan: &ReadPlan) -> Vec<InvalidRecord> {
    let mut invalid = Vec::new();
    for record in lex(text, plan.dialect, 0).records {
        let bytes = &mut text[record.start as usize..record.end as usize];
        if std::str::from_utf8(bytes).is_err() {
            invalid.push((record.start, bytes.to_vec()));
            bytes.iter_mut().filter(|byte| !byte.is_ascii()).for_each(|byte| *byte = b'?');
        }
    }
    invalid
}

impl ParsedBlock {
    /// Iterates over the rejected records in file order.
    pub fn rejected<'a>(&'a self, plan: &'a ReadPlan) -> impl Iterator<Item = RejectedRecord<'a>> {
        let by_record = self.found.chunk_by(|a, b| a.record == b.record);
        by_record.map(|of_one| self.rejected_record(plan, of_one))
    }

    fn rejected_record<'a>(
        &'a self,
        plan: &'a ReadPlan,
        found: &[RecordFinding],
    ) -> RejectedRecord<'a> {
        let record = &self.lexed.records[found[0].record as usize];
        let line = self.first_line + u64::from(record.line);
        let reasons =
            found.iter().map(|found| self.reason(plan, record, line, found.finding)).collect();
        let too_long = found.iter().any(|found| std::ptr::eq(found.finding.rule, &RECORD_TOO_LONG));
        let raw = self.raw(record);
        match too_long {
            true => RejectedRecord { line, raw: head(raw, plan), is_cut: true, reasons },
            false => RejectedRecord { line, raw, is_cut: false, reasons },
        }
    }

    fn raw(&self, record: &RecordSpan) -> &[u8] {
        match self.invalid.binary_search_by_key(&record.start, |(start, _)| *start) {
            Ok(at) => &self.invalid[at].1,
            Err(_) => &self.text[record.start as usize..record.end as usize],
        }
    }

    fn reason<'a>(
        &'a self,
        plan: &'a ReadPlan,
        record: &RecordSpan,
        line: u64,
        finding: BrokenRule,
    ) -> Rejection<'a> {
        let value = finding.column.map(|column| {
            let cell = self.lexed.cells[record.cells as usize + column as usize];
            std::str::from_utf8(&self.text[cell.range()]).expect("the block is UTF-8")
        });
        let column = finding.column.map(|column| plan.columns.header[column as usize].as_str());
        let case = RuleCase {
            value,
            fields: u64::from(record.fields),
            width: plan.width() as u64,
            bytes: u64::from(record.end - record.start),
            broken: record.broken,
            limits: &plan.limits,
            format: finding.column.and_then(|column| plan.columns.format(column as usize)),
        };
        debug_assert!(catalogue::contains(finding.rule), "{:?} is not in RULES", finding.rule);
        finding.rule.reject(line, column, &case)
    }
}

/// Returns the part of a record over `max-record` that the error file has. It has fewer fields than
/// the header, so that the record is rejected again.
fn head<'a>(record: &'a [u8], plan: &ReadPlan) -> &'a [u8] {
    first_fields(record, plan.dialect, plan.width().saturating_sub(1))
}

/// Returns the rejection of a record that was too long to keep; `first` are its first bytes.
pub fn too_long<'a>(
    plan: &'a ReadPlan,
    line: u64,
    bytes: u64,
    first: &'a [u8],
) -> RejectedRecord<'a> {
    let width = plan.width() as u64;
    let limits = &plan.limits;
    let case =
        RuleCase { value: None, fields: 0, width, bytes, broken: None, limits, format: None };
    let reasons = vec![RECORD_TOO_LONG.reject(line, None, &case)];
    RejectedRecord { line, raw: head(first, plan), is_cut: true, reasons }
}
