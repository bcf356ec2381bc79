//! The manifest: what a partner says about a data file, and what can be wrong with it. Pure.

use std::collections::BTreeMap;

use crate::records::PropertyType;
use crate::report::DataType;

/// A manifest whose every value is valid. Whether it fits its header is `records`' to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// `type`
    pub data_type: DataType,
    /// `fileName`: a plain, visible name in the manifest's own folder.
    pub file_name: String,
    /// `clientEmail`: one valid address.
    pub client_email: String,
    /// `columns`: by CSV header.
    pub columns: BTreeMap<String, Column>,
    /// `size` of the data file as uploaded, in bytes.
    pub size: Option<u64>,
    /// `rows`: records after the header.
    pub rows: Option<u64>,
    /// `sha256` of the data file as uploaded.
    pub sha256: Option<[u8; 32]>,
    /// `delimiter`: one ASCII character; comma when not said.
    pub delimiter: u8,
    /// `encoding`; none: a byte order mark decides, else UTF-8.
    pub encoding: Option<Encoding>,
    /// `dryRun`: validate and report, store nothing.
    pub dry_run: bool,
    /// Unknown keys and the like, for the report.
    pub warnings: Vec<String>,
}

/// An encoding that a manifest can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `utf-8`
    Utf8,
    /// `utf-16le`, or `utf-16` without a byte order mark
    Utf16Le,
    /// `utf-16be`
    Utf16Be,
    /// `windows-1252`
    Windows1252,
}

/// What the manifest says of one column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    /// `ctName`; none: the header is the name.
    pub ct_name: Option<String>,
    /// `dataType`
    pub data_type: PropertyType,
    /// `format` of a DATE.
    pub format: Option<DateFormat>,
}

/// The order of the parts of a DATE, each with an optional ` HH:mm:ss`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateFormat {
    /// `dd/MM/yyyy`
    DayMonthYear,
    /// `MM/dd/yyyy`
    MonthDayYear,
    /// `yyyy/dd/MM`
    YearDayMonth,
    /// `yyyy/MM/dd`
    YearMonthDay,
    /// `dd MMM yyyy`
    DayNameYear,
}
