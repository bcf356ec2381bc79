//! [`ReadPlan`]: all facts about a data file that the workers need.

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
    /// The time for an empty `ts`, in seconds since 1970 UTC.
    pub processing_time: i64,
    /// The number of threads that parse, in addition to the thread that reads. At least one is
    /// used.
    pub workers: usize,
}

/// The parameters for parsing blocks. They are the same for all blocks of an import.
#[derive(Debug)]
pub struct ReadPlan {
    pub columns: Columns,
    /// The cells of the header as they are in the file, to recognise a repeated header.
    pub header_cells: Vec<String>,
    /// The quoted header for messages.
    pub quoted_header: String,
    /// The `sep=` line without its line end; empty if the file has none.
    pub separator_line: Vec<u8>,
    pub header_line: u64,
    /// Whether a column has the name `Failure Description`, mapped or ignored.
    pub has_description: bool,
    pub schema: Schema,
    pub dialect: Dialect,
    pub null: NullTexts,
    /// The delimiter of the data file if it is beyond ASCII. In the blocks, it is exchanged with
    /// U+001F.
    pub wide_delimiter: Option<char>,
    pub limits: Limits,
    pub reserved: ReservedNames,
    /// The column with the items of a Charged event.
    pub items: Option<usize>,
    /// The time for an empty `ts`, in seconds since 1970 UTC.
    pub processing_time: i64,
}

/// Returns a cell of the header for the comparison with cells of records. If the cell is one of the
/// texts that mean an empty cell, returns an empty text.
fn without_null(name: &str, null: &NullTexts) -> String {
    if null.contains(name.as_bytes()) { String::new() } else { name.to_owned() }
}

impl ReadPlan {
    /// Maps the columns of `header` by the manifest.
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
            separator_line: header.separator_line.trim_ascii_end().to_vec(),
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

    /// Returns the number of columns of the header.
    pub fn width(&self) -> usize {
        self.columns.header.len()
    }

    /// Returns the number of columns without the ignored column `Failure Description`.
    pub fn own_width(&self) -> usize {
        self.width() - usize::from(self.columns.description.is_some())
    }
}
