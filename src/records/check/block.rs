//! Checks one block: parses its records and sorts them into batches and rejections. The result
//! depends only on the block and the plan.

use std::borrow::Cow;
use std::collections::HashSet;

use super::form::{FormCheck, InvalidRecord, WellFormed};
use super::own_fields::{
    before_error_text, description_field, kept_fields, length_alone, own_line,
};
use super::rows::{RecordFinding, Rows};
use super::{events, profiles};
use crate::manifest::failure_of;
use crate::records::batch::{Batch, ProfileBatch};
use crate::records::csv::blocks::Block;
use crate::records::csv::lexer::{LexedBlock, RecordSpan, Span, lex};
use crate::records::header::plan::ReadPlan;
use crate::records::header::schema::Schema;
use crate::records::input::wide_delimiter::exchanged;
use crate::records::rules::catalogue;
use crate::records::rules::record::{ERROR_TEXT, FIELD_COUNT, RECORD_TOO_LONG};
use crate::records::rules::rejection::{BrokenRule, Rejection, RuleCase};
use crate::records::sink::RejectedRecord;
use crate::report::Failure;
use crate::sanitize::excerpt;

/// A parsed block: its records, its cells and the findings about them.
#[derive(Debug)]
pub struct ParsedBlock {
    /// The number of bytes of the file as uploaded that had been read at the end of the block.
    pub consumed: u64,
    first_line: u64,
    /// The text of the block. The unquoted content of its quoted cells follows the text.
    pub text: Vec<u8>,
    lexed: LexedBlock,
    built: BuiltBlock,
    invalid: Vec<InvalidRecord>,
}

/// The results of the checks of a block's records.
#[derive(Debug)]
struct BuiltBlock {
    batches: Vec<Batch>,
    /// The findings about the block's records, sorted by record.
    found: Vec<RecordFinding>,
    failure: Option<Failure>,
    other_descriptions: u64,
}

/// Parses a block of the data file and checks its records.
pub fn parse(block: Block, plan: &ReadPlan) -> ParsedBlock {
    let Block { mut text, first_line, consumed, is_last } = block;
    let bytes = text.len();
    let lexed = find_cells(&mut text, plan);
    if let Ok(valid) = simdutf8::basic::from_utf8(&text) {
        let built = build(plan, valid, &lexed, &[], first_line, is_last);
        return ParsedBlock { consumed, first_line, text, lexed, built, invalid: Vec::new() };
    }
    text.truncate(bytes);
    let invalid = take_invalid(&mut text, plan);
    let lexed = find_cells(&mut text, plan);
    let valid = std::str::from_utf8(&text).expect("invalid bytes were replaced");
    let built = build(plan, valid, &lexed, &invalid, first_line, is_last);
    ParsedBlock { consumed, first_line, text, lexed, built, invalid }
}

/// Finds the cells of a block. If a cell contains quotes, appends its unescaped content to the
/// block.
fn find_cells(text: &mut Vec<u8>, plan: &ReadPlan) -> LexedBlock {
    let mut lexed = lex(text, plan.dialect, plan.width());
    text.append(&mut lexed.unquoted);
    if let Some(delimiter) = plan.wide_delimiter {
        restore_cells(text, &mut lexed.cells, delimiter);
    }
    if !plan.null.is_empty() {
        let is_null = |cell: &&mut Span| plan.null.contains(&text[cell.range()]);
        lexed.cells.iter_mut().filter(is_null).for_each(|cell| cell.end = cell.start);
    }
    lexed
}

/// Appends to the block the original content of each cell that contains the delimiter or U+001F.
fn restore_cells(text: &mut Vec<u8>, cells: &mut [Span], delimiter: char) {
    for cell in cells {
        if let Cow::Owned(original) = exchanged(delimiter, &text[cell.range()]) {
            let start = text.len() as u32;
            text.extend_from_slice(&original);
            *cell = Span { start, end: text.len() as u32 };
        }
    }
}

/// Checks the records of a block. Returns the accepted records and the findings.
fn build(
    plan: &ReadPlan,
    text: &str,
    lexed: &LexedBlock,
    invalid: &[InvalidRecord],
    first_line: u64,
    is_last: bool,
) -> BuiltBlock {
    let mut found = Vec::new();
    let has_nul = memchr::memchr(0, text.as_bytes()).is_some();
    let form = FormCheck { plan, text: text.as_bytes(), lexed, has_nul, found: &mut found };
    let WellFormed { rows, rejected, other_descriptions } = form.run(invalid, is_last);
    let form = found.len();
    let (cells, records) = (&lexed.cells, &lexed.records);
    let rows = Rows { text, cells, records, first_line, has_nul, rows, rejected };
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
    drop_consequences(form, &mut found);
    found.sort_by_key(|found| found.record);
    let failure = nameless_value(plan, &rows);
    BuiltBlock { batches, found, failure, other_descriptions }
}

/// Removes the findings about the value of a cell if the form of the cell is wrong. The findings
/// about form are at the start of `found`, and `form` is their number.
fn drop_consequences(form: usize, found: &mut Vec<RecordFinding>) {
    let key = |found: &RecordFinding| found.finding.column.map(|column| (found.record, column));
    let cells: HashSet<_> = found[..form].iter().filter_map(key).collect();
    if cells.is_empty() {
        return;
    }
    let mut at = 0;
    found.retain(|found| {
        at += 1;
        at <= form || key(found).is_none_or(|cell| !cells.contains(&cell))
    });
}

/// Returns whether a column without a name may contain the character `c`. White space is allowed.
/// NUL is also allowed, because another rule rejects records with NUL.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\0'
}

/// Returns a failure if a cell has a value and its column has no name in the header.
fn nameless_value(plan: &ReadPlan, rows: &Rows<'_>) -> Option<Failure> {
    let nameless = &plan.columns.nameless;
    let (row, column) = (0..if nameless.is_empty() { 0 } else { rows.len() })
        .flat_map(|row| nameless.iter().map(move |column| (row, *column)))
        .find(|(row, column)| !rows.cell(*row, *column).chars().all(is_blank))?;
    Some(failure_of(&[
        format!(
            "line {}, column {}: the header has no name in this column, but line {} has the \
             value {}",
            plan.header_line,
            column + 1,
            rows.line(row),
            excerpt(rows.cell(row, column))
        ),
        plan.quoted_header.clone(),
    ]))
}

/// Returns the records of `text` that are not valid UTF-8. In these records, replaces all bytes in
/// `text` that are not ASCII by question marks. Then all of `text` is valid UTF-8, and the
/// positions of the cells have not changed.
fn take_invalid(text: &mut [u8], plan: &ReadPlan) -> Vec<InvalidRecord> {
    let substitute = if plan.dialect.delimiter == b'?' { b'!' } else { b'?' };
    let mut invalid = Vec::new();
    for record in lex(text, plan.dialect, 0).records {
        let bytes = &mut text[record.start as usize..record.end as usize];
        if std::str::from_utf8(bytes).is_err() {
            invalid.push((record.start, bytes.to_vec()));
            bytes.iter_mut().filter(|byte| !byte.is_ascii()).for_each(|byte| *byte = substitute);
        }
    }
    invalid
}

impl ParsedBlock {
    /// Iterates over the rejected records of the block in the order of the file.
    pub fn rejected<'a>(&'a self, plan: &'a ReadPlan) -> impl Iterator<Item = RejectedRecord<'a>> {
        let by_record = self.built.found.chunk_by(|a, b| a.record == b.record);
        by_record.map(|of_one| self.rejected_record(plan, of_one))
    }

    fn rejected_record<'a>(
        &'a self,
        plan: &'a ReadPlan,
        found: &[RecordFinding],
    ) -> RejectedRecord<'a> {
        let record = &self.lexed.records[found[0].record as usize];
        let line = self.first_line + u64::from(record.line);
        let has = |rule| found.iter().any(|found| std::ptr::eq(found.finding.rule, rule));
        let raw = self.raw(record);
        let own = own_line(plan, record, raw);
        let (kept, description) = if has(&RECORD_TOO_LONG) {
            kept_fields(plan, own)
        } else if has(&ERROR_TEXT) {
            // A description in the wrong column cannot be distinguished from the record's own
            // fields. Therefore the error file keeps the description.
            (before_error_text(plan, raw, found[0].finding.column), None)
        } else if record.broken.is_some() {
            (Some(own), None)
        } else {
            (Some(raw), description_field(plan, raw))
        };
        let is_ragged = has(&FIELD_COUNT);
        let numbers = self.numbers(plan, record, description.is_some() && is_ragged);
        let has_empty_end = is_ragged
            && description.is_none()
            && plan.columns.description.is_some_and(|column| column < plan.own_width())
            && record.fields as usize == plan.own_width();
        let reason =
            |found: &RecordFinding| self.reason(plan, record, &numbers, line, found.finding);
        let reasons = found.iter().map(reason).collect();
        RejectedRecord { line, raw: kept, description, has_empty_end, reasons }
    }

    /// Returns the numbers of a record for messages. `described` means that the record has a wrong
    /// number of fields, and that one field is the description of an earlier error file.
    fn numbers<'a>(
        &self,
        plan: &'a ReadPlan,
        record: &RecordSpan,
        described: bool,
    ) -> RuleCase<'a> {
        let raw = self.raw(record);
        let is_long = raw.len() as u64 > plan.limits.max_record.bytes();
        RuleCase {
            value: None,
            fields: u64::from(record.fields) - u64::from(described),
            width: plan.width() as u64 - u64::from(described),
            bytes: if is_long { length_alone(plan, record, raw) } else { raw.len() as u64 },
            quoting: plan.dialect.quoting,
            broken: record.broken,
            limits: &plan.limits,
            format: None,
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
        numbers: &RuleCase<'a>,
        line: u64,
        finding: BrokenRule,
    ) -> Rejection<'a> {
        let value = finding.column.map(|column| {
            let cell = self.lexed.cells[record.cells as usize + column as usize];
            std::str::from_utf8(&self.text[cell.range()]).expect("the block is UTF-8")
        });
        let column = finding.column.map(|column| plan.columns.header[column as usize].as_str());
        let format = finding.column.and_then(|column| plan.columns.format(column as usize));
        debug_assert!(catalogue::contains(finding.rule), "{:?} is not in RULES", finding.rule);
        finding.rule.reject(line, column, &RuleCase { value, format, ..*numbers })
    }

    /// Returns the failure of the whole file if this block causes the failure. Otherwise returns
    /// `None`.
    pub fn failure(&mut self) -> Option<Failure> {
        self.built.failure.take()
    }

    /// Returns the accepted records of the block.
    pub fn batches(&mut self) -> Vec<Batch> {
        std::mem::take(&mut self.built.batches)
    }

    /// Returns the number of records whose ignored column `Failure Description` has a text that
    /// does not come from an error file.
    pub fn other_descriptions(&self) -> u64 {
        self.built.other_descriptions
    }
}

/// Returns the rejection of a record that is longer than `max-record`. `start` contains the first
/// bytes of the record, and `bytes` is the length of the record in bytes.
pub fn too_long<'a>(
    plan: &'a ReadPlan,
    line: u64,
    bytes: u64,
    start: &'a [u8],
) -> RejectedRecord<'a> {
    let width = plan.width() as u64;
    let limits = &plan.limits;
    let case = RuleCase {
        value: None,
        fields: 0,
        width,
        bytes,
        quoting: plan.dialect.quoting,
        broken: None,
        limits,
        format: None,
    };
    let (raw, description) = kept_fields(plan, start);
    let reasons = vec![RECORD_TOO_LONG.reject(line, None, &case)];
    RejectedRecord { line, raw, description, has_empty_end: false, reasons }
}
