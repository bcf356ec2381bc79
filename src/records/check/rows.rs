//! [`Rows`]: the records of a block whose cells are checked.

use crate::records::csv::lexer::{RecordSpan, Span};
use crate::records::rules::rejection::{BrokenRule, Rule};

/// A finding about a record of the block.
#[derive(Clone, Copy, Debug)]
pub struct RecordFinding {
    pub record: u32,
    pub finding: BrokenRule,
}

/// The records of a block with the header's form, and their cells.
pub struct Rows<'a> {
    /// The block, followed by its unquoted cells.
    pub text: &'a str,
    pub cells: &'a [Span],
    pub records: &'a [RecordSpan],
    /// The line of the block's first byte.
    pub first_line: u64,
    /// Whether `text` has a NUL character.
    pub has_nul: bool,
    pub rows: Vec<RowSpan>,
}

/// A record with the header's form.
#[derive(Clone, Copy)]
pub struct RowSpan {
    /// Its index in the block.
    pub record: u32,
    /// The index of its first cell.
    pub cells: u32,
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

    pub fn found(&self, row: usize, rule: &'static Rule, column: Option<usize>) -> RecordFinding {
        let column = column.map(|column| column as u32);
        RecordFinding { record: self.rows[row].record, finding: BrokenRule { rule, column } }
    }
}
