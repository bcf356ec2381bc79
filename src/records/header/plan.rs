//! [`ReadPlan`] contains all facts about a data file that the worker threads need.

use super::Header;
use super::columns::Columns;
use super::schema::{EventSchema, Property, Schema};
use crate::config::Limits;
use crate::manifest::Manifest;
use crate::records::csv::dialect::Dialect;
use crate::records::csv::null::NullTexts;
use crate::records::rules::event::{ReservedNames, is_items};
use crate::report::{DataType, Failure};

/// The parameters of [`read()`](crate::records::read()).
#[derive(Clone, Copy, Debug)]
pub struct ReadOptions<'a> {
    pub limits: &'a Limits,
    /// The time of a record with an empty `ts`, in seconds since 1970 UTC.
    pub processing_time: i64,
    /// The number of threads that parse records, in addition to the thread that reads the file. At
    /// least one thread parses.
    pub workers: usize,
}

/// The parameters for parsing the blocks of a data file. They are the same for all blocks of an
/// import.
#[derive(Debug)]
pub struct ReadPlan {
    pub columns: Columns,
    /// The cells of the header as they are in the file. They are used to recognise a repeated
    /// header.
    pub header_cells: Vec<String>,
    /// The quoted text of the header for messages.
    pub quoted_header: String,
    /// The file's `sep=` line without its line end. Empty if the file has no such line.
    pub separator_line: Vec<u8>,
    pub header_line: u64,
    /// True if a column has the name `Failure Description`. The column may be mapped or ignored.
    pub has_description: bool,
    pub schema: Schema,
    pub dialect: Dialect,
    pub null: NullTexts,
    /// The delimiter of the data file if it is not an ASCII character. In the blocks, U+001F takes
    /// its place.
    pub wide_delimiter: Option<char>,
    pub limits: Limits,
    pub reserved: ReservedNames,
    /// The index of the column with the items of a Charged event.
    pub items: Option<usize>,
    /// The time of a record with an empty `ts`, in seconds since 1970 UTC.
    pub processing_time: i64,
}

/// Returns a cell of the header for the comparison with cells of records. If the cell is one of the
/// texts that mean an empty cell, returns an empty text.
fn without_null(name: &str, null: &NullTexts) -> String {
    if null.contains(name.as_bytes()) { String::new() } else { name.to_owned() }
}

impl ReadPlan {
    /// Makes the plan: maps the columns of `header` by the manifest.
    pub fn new(
        header: &Header,
        manifest: &Manifest,
        options: &ReadOptions<'_>,
    ) -> Result<Self, Failure> {
        let columns = Columns::new(header.names.clone(), header.line, manifest)
            .map_err(|findings| header.failure(&findings))?;
        let properties: Vec<Property> =
            columns.properties.iter().map(|column| column.property.clone()).collect();
        let schema = match manifest.data_type {
            DataType::Event => Schema::Event(EventSchema::new(&properties)),
            DataType::Profile => Schema::Profile(properties.into()),
        };
        let items = columns.properties.iter().find(|column| is_items(&column.property.name));
        let null = NullTexts::new(&manifest.null);
        Ok(Self {
            items: items.map(|items| items.column),
            has_description: (0..columns.header.len()).any(|at| columns.is_description(at)),
            columns,
            header_cells: header.names.iter().map(|name| without_null(name, &null)).collect(),
            quoted_header: header.quoted_line.clone(),
            separator_line: without_line_end(&header.separator_line).to_vec(),
            header_line: header.line,
            schema,
            dialect: header.dialect,
            null,
            wide_delimiter: manifest.wide_delimiter,
            limits: options.limits.clone(),
            reserved: ReservedNames::new(&options.limits.reserved_event_names),
            processing_time: options.processing_time,
        })
    }

    /// Returns the number of bytes of a record up to which no field of it can be too long. A
    /// delimiter beyond ASCII is one byte for the lexer, and has up to four bytes in a cell.
    pub fn longest_safe_record(&self) -> u64 {
        let most = if self.wide_delimiter.is_some() { 4 } else { 1 };
        self.limits.max_field.bytes() / most
    }

    /// Returns the number of columns that the header has.
    pub fn width(&self) -> usize {
        self.columns.header.len()
    }

    /// Returns the number of columns of the header. The ignored column `Failure Description` does
    /// not count.
    pub fn own_width(&self) -> usize {
        self.width() - usize::from(self.columns.description.is_some())
    }
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
