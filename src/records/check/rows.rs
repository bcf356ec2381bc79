//! [`Rows`] contains the well-formed records of a block. The cells of these records are checked
//! next.

use crate::records::csv::lexer::{RecordSpan, Span};
use crate::records::rules::rejection::{BrokenRule, Rule};

/// A finding about one record of the block.
#[derive(Clone, Copy, Debug)]
pub struct RecordFinding {
    pub record: u32,
    pub finding: BrokenRule,
}

/// The records of a block that have as many fields as the header, and their cells.
pub struct Rows<'a> {
    /// The text of the block. The unquoted content of its quoted cells follows the text.
    pub text: &'a str,
    pub cells: &'a [Span],
    pub records: &'a [RecordSpan],
    /// The line number of the block's first line in the file.
    pub first_line: u64,
    /// True if the text of the block has a NUL character.
    pub has_nul: bool,
    pub rows: Vec<RowSpan>,
    /// The indexes of the rows that an earlier check has rejected. The indexes are in ascending
    /// order.
    pub rejected: Vec<usize>,
}

/// A record that has as many fields as the header.
#[derive(Clone, Copy)]
pub struct RowSpan {
    /// The index of the record in the block.
    pub record: u32,
    /// The index of the record's first cell among the cells of the block.
    pub cells: u32,
}

impl<'a> Rows<'a> {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns whether an earlier check has rejected the row.
    #[inline]
    pub fn is_rejected(&self, row: usize) -> bool {
        !self.rejected.is_empty() && self.rejected.binary_search(&row).is_ok()
    }

    /// Returns the text of the block. The unquoted content of its quoted cells follows the text.
    pub fn block(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// Iterates over the positions of the cells of one column, in the order of the rows.
    #[inline]
    pub fn spans(&self, column: usize) -> impl Iterator<Item = Span> + use<'_, 'a> {
        let cells = self.cells;
        self.rows.iter().map(move |row| cells[row.cells as usize + column])
    }

    /// Returns the bytes at the position of a cell.
    #[inline]
    pub fn bytes(&self, cell: Span) -> &'a [u8] {
        &self.text.as_bytes()[cell.range()]
    }

    /// Returns the text at the position of a cell.
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

    pub fn found(&self, row: usize, rule: &'static Rule, column: Option<usize>) -> RecordFinding {
        let column = column.map(|column| column as u32);
        RecordFinding { record: self.rows[row].record, finding: BrokenRule { rule, column } }
    }
}
