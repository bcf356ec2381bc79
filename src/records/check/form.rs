//! Checks the form of the records of a block, before the values of their cells are checked. The
//! rules about form limit the length of a record and the number of its fields, forbid invalid
//! bytes, and exclude lines that are not records.

use super::own_fields::{description_field, length_alone, own_line, without_quotes};
use super::rows::{RecordFinding, RowSpan};
use crate::records::csv::fields::RawFields;
use crate::records::csv::lexer::{LexedBlock, RecordSpan, Span};
use crate::records::header::plan::ReadPlan;
use crate::records::header::{BYTE_ORDER_MARK, without_marks};
use crate::records::rules::catalogue::is_description;
use crate::records::rules::record::{
    ERROR_TEXT, FIELD_COUNT, FIELD_TOO_LONG, INVALID_BYTES, NUL, RECORD_TOO_LONG, REPEATED_HEADER,
    TEXT_AFTER_QUOTE,
};
use crate::records::rules::rejection::{BrokenRule, Rule};

/// A record with bytes that are invalid in the file's encoding: the start of the record in the
/// block, and its original bytes.
pub type InvalidRecord = (u32, Vec<u8>);

/// The records of a block that have a valid form, so that their cells can be checked.
#[derive(Default)]
pub struct WellFormed {
    pub rows: Vec<RowSpan>,
    /// The indexes of the rows that are rejected because of the form of a cell. The indexes are in
    /// ascending order.
    pub rejected: Vec<usize>,
    /// The number of rows whose ignored column `Failure Description` has a text that does not come
    /// from an error file.
    pub other_descriptions: u64,
}

/// Checks the form of a block's records.
pub struct FormCheck<'a> {
    pub plan: &'a ReadPlan,
    /// The text of the block. The unquoted content of its quoted cells follows the text.
    pub text: &'a [u8],
    pub lexed: &'a LexedBlock,
    /// True if the text of the block has a NUL character.
    pub has_nul: bool,
    pub found: &'a mut Vec<RecordFinding>,
}

impl FormCheck<'_> {
    /// Checks the form of all records of the block. `invalid` has the records with invalid bytes.
    /// `is_last` means that the file ends with the block.
    pub fn run(mut self, invalid: &[InvalidRecord], is_last: bool) -> WellFormed {
        let records = &self.lexed.records;
        let mut well_formed =
            WellFormed { rows: Vec::with_capacity(records.len()), ..WellFormed::default() };
        let mut invalid = invalid.iter().peekable();
        let (text, delimiter) = (self.text, self.plan.dialect.delimiter);
        let raw_of = |record: &RecordSpan| &text[record.start as usize..record.end as usize];
        let is_record = |record: &RecordSpan| !is_padding(raw_of(record), delimiter);
        let last = if is_last { records.iter().rposition(is_record) } else { None };
        let longest_plain = self.longest_plain(invalid.peek().is_some());
        for (at, record) in records.iter().enumerate() {
            let raw = raw_of(record);
            if self.is_plain(record, raw, longest_plain) {
                well_formed.rows.push(RowSpan { record: at as u32, cells: record.cells });
                continue;
            }
            if !is_record(record) || (Some(at) == last && is_end_mark(raw)) {
                continue;
            }
            let invalid = invalid.next_if(|(start, _)| *start == record.start);
            let before = self.found.len();
            if self.check(at as u32, record, raw, invalid.map(|(_, raw)| raw.as_slice())) {
                if self.found.len() > before {
                    well_formed.rejected.push(well_formed.rows.len());
                }
                well_formed.rows.push(RowSpan { record: at as u32, cells: record.cells });
            }
        }
        if let Some(column) = self.plan.columns.description {
            let cells = well_formed.rows.iter().map(|row| self.cell(row.cells, column));
            let other = cells.filter(|cell| {
                !cell.trim_ascii().is_empty() && !is_description(cell, self.plan.dialect)
            });
            well_formed.other_descriptions = other.count() as u64;
        }
        well_formed
    }

    /// Returns the maximum length in bytes of the records that [`Self::is_plain`] accepts. Returns
    /// 0 if every record needs the full checks.
    fn longest_plain(&self, has_invalid: bool) -> usize {
        let Self { plan, .. } = self;
        if has_invalid || plan.has_description || !plan.separator_line.is_empty() {
            return 0;
        }
        plan.limits.max_record.bytes().min(plan.longest_safe_record()) as usize
    }

    /// Tests quickly whether a record breaks no rule about form. Examines only the lengths and the
    /// first byte of the record. Returns false if a full check is needed. A full check is needed if
    /// the first byte could begin a line of delimiters or an end mark. It is also needed if the
    /// first cell is as long as the first name of the header, because the record could repeat the
    /// header.
    #[inline]
    fn is_plain(&self, record: &RecordSpan, raw: &[u8], longest: usize) -> bool {
        let Self { plan, lexed, .. } = self;
        let begins = |first: &u8| first.is_ascii_alphanumeric() && *first != plan.dialect.delimiter;
        raw.len() <= longest
            && record.fields as usize == plan.width()
            && raw.first().is_some_and(begins)
            && lexed.cells[record.cells as usize].len() != plan.header_cells[0].len()
    }

    /// Adds the rules about form that a record breaks. Returns true if the header has a column for
    /// each cell of the record.
    fn check(&mut self, at: u32, record: &RecordSpan, raw: &[u8], invalid: Option<&[u8]>) -> bool {
        let plan = self.plan;
        let width = plan.width();
        let max_record = plan.limits.max_record.bytes();
        if raw.len() as u64 > max_record && length_alone(plan, record, raw) > max_record {
            self.reject(at, &RECORD_TOO_LONG, None);
            return false;
        }
        let separator = &plan.separator_line;
        if !separator.is_empty() && without_marks(raw) == separator {
            self.reject(at, &REPEATED_HEADER, None);
            return false;
        }
        if record.fields as usize != width {
            let is_broken = record.broken.is_some();
            self.reject(at, if is_broken { &TEXT_AFTER_QUOTE } else { &FIELD_COUNT }, None);
            let is_long = raw.len() as u64 > plan.longest_safe_record();
            if invalid.is_some() || self.has_nul || is_long {
                self.check_fields(at, record, invalid.unwrap_or(raw));
            }
            return false;
        }
        if self.repeats_header(record, raw) {
            self.reject(at, &REPEATED_HEADER, None);
            return false;
        }
        if let Some(column) = self.error_text(record) {
            self.reject(at, &ERROR_TEXT, Some(column));
            return false;
        }
        let checked = (0..width).filter(|column| Some(*column) != plan.columns.description);
        // In a shorter record, no field can be too long.
        if raw.len() as u64 > plan.longest_safe_record() {
            for column in checked.clone() {
                if self.is_too_long(self.lexed.cells[record.cells as usize + column]) {
                    self.reject(at, &FIELD_TOO_LONG, Some(column));
                }
            }
        }
        if let Some(raw) = invalid {
            let fields = RawFields::of(raw, plan.dialect).fields;
            let is_invalid = |column: &usize| {
                fields
                    .get(*column)
                    .is_some_and(|field| std::str::from_utf8(&raw[field.clone()]).is_err())
            };
            checked.filter(is_invalid).for_each(|column| {
                self.reject(at, &INVALID_BYTES, Some(column));
            });
        }
        true
    }

    /// Checks the fields of a record with a wrong number of fields. The columns of these fields are
    /// not known. If the quoting of a line is broken, the line counts as one field. The length of
    /// this field is not limited.
    #[cold]
    fn check_fields(&mut self, at: u32, record: &RecordSpan, raw: &[u8]) {
        let max_field = self.plan.limits.max_field.bytes();
        if record.broken.is_some() {
            return self.check_bytes(at, &[own_line(self.plan, record, raw)]);
        }
        let description = description_field(self.plan, raw);
        let fields = RawFields::of(raw, self.plan.dialect).fields.into_iter().enumerate();
        let own = fields.filter(|(at, _)| Some(*at) != description);
        let own: Vec<_> = own.map(|(_, field)| &raw[field]).collect();
        if own.iter().any(|field| without_quotes(field).len() as u64 > max_field) {
            self.reject(at, &FIELD_TOO_LONG, None);
        }
        self.check_bytes(at, &own);
    }

    fn check_bytes(&mut self, at: u32, fields: &[&[u8]]) {
        if fields.iter().any(|field| std::str::from_utf8(field).is_err()) {
            self.reject(at, &INVALID_BYTES, None);
        }
        if self.has_nul && fields.iter().any(|field| field.contains(&0)) {
            self.reject(at, &NUL, None);
        }
    }

    fn reject(&mut self, record: u32, rule: &'static Rule, column: Option<usize>) {
        let column = column.map(|column| column as u32);
        self.found.push(RecordFinding { record, finding: BrokenRule { rule, column } });
    }

    fn is_too_long(&self, cell: Span) -> bool {
        cell.len() as u64 > self.plan.limits.max_field.bytes()
    }

    fn cell(&self, first: u32, column: usize) -> &[u8] {
        &self.text[self.lexed.cells[first as usize + column].range()]
    }

    /// Returns whether a record equals the header. The record must have as many fields as the
    /// header. A byte order mark before the record is ignored, because concatenated files have a
    /// byte order mark before each header.
    #[inline]
    fn repeats_header(&self, record: &RecordSpan, raw: &[u8]) -> bool {
        let first = self.lexed.cells[record.cells as usize];
        let could_be = first.len() == self.plan.header_cells[0].len()
            || raw.first() == BYTE_ORDER_MARK.first();
        could_be && self.equals_header(record, raw)
    }

    fn equals_header(&self, record: &RecordSpan, raw: &[u8]) -> bool {
        let is_marked = raw.starts_with(BYTE_ORDER_MARK);
        self.plan.header_cells.iter().enumerate().all(|(column, name)| {
            let cell = self.cell(record.cells, column);
            let cell =
                if column == 0 && is_marked { without_quotes(without_marks(cell)) } else { cell };
            cell == name.as_bytes() || Some(column) == self.plan.columns.description
        })
    }

    /// Returns the first column other than `Failure Description` that has the text of an error
    /// file. Returns `None` if the file has no column `Failure Description`. The text is in the
    /// wrong column if a tool added fields to a record with too few fields, or removed fields from
    /// a record with too many.
    fn error_text(&self, record: &RecordSpan) -> Option<usize> {
        let is_moved = |column: &usize| {
            !self.plan.columns.is_description(*column)
                && is_description(self.cell(record.cells, *column), self.plan.dialect)
        };
        if !self.plan.has_description {
            return None;
        }
        (0..self.plan.width()).find(is_moved)
    }
}

/// Returns whether a line consists only of delimiters. Spreadsheets write such lines for empty
/// rows.
#[inline]
fn is_padding(raw: &[u8], delimiter: u8) -> bool {
    raw.first() == Some(&delimiter) && raw.iter().all(|byte| *byte == delimiter)
}

/// Returns whether a line consists only of U+001A and NUL characters. Such a line can be the last
/// line of a file. U+001A marks the end of text files in DOS, and some tools fill up the last block
/// of a file with NUL.
fn is_end_mark(raw: &[u8]) -> bool {
    raw.iter().all(|byte| matches!(byte, 0 | 0x1A))
}
