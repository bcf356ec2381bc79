//! The manifest: a partner's description of a data file. This module does no I/O.
//!
//! Invariant: a [`Manifest`] has valid values only. An invalid text results in [`ManifestErrors`]
//! with all findings, and with the values that are needed to report them to its author.

mod date_format;
mod errors;
mod json;
mod parse;
mod property_type;
mod syntax;
mod write;

use std::collections::BTreeMap;

use crate::report::DataType;

pub use date_format::{DateFormat, DayOrder};
pub use errors::ManifestErrors;
pub(crate) use errors::{failure_of, is_address};
pub(crate) use parse::parse_digest;
pub use property_type::PropertyType;

/// A valid manifest. The module `records` checks whether the manifest fits the header of the data
/// file.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    pub data_type: DataType,
    /// The value of the key `fileName`: a plain, visible name in the manifest's own folder.
    pub file_name: String,
    /// The value of the key `clientEmail`: one valid mail address.
    pub client_email: String,
    /// The value of the key `columns`: an entry for each column, by its header in the data file.
    pub columns: BTreeMap<String, Column>,
    /// The value of the key `size`: the size of the data file as uploaded, in bytes.
    pub size: Option<u64>,
    /// The value of the key `rows`: the number of records after the header of the data file.
    pub rows: Option<u64>,
    /// The value of the key `sha256`: the digest of the data file as uploaded.
    pub sha256: Option<[u8; 32]>,
    /// The value of the key `delimiter`: one character, by default a comma. Control characters are
    /// allowed. If the delimiter is beyond ASCII, this field is [`DELIMITER_SUBSTITUTE`].
    pub delimiter: u8,
    /// The delimiter of the data file if it is beyond ASCII. `None` if it is an ASCII character.
    pub wide_delimiter: Option<char>,
    /// The quoting of the data file, from the keys `quote` and `escape`.
    pub quoting: Quoting,
    /// The value of the key `null`: texts that mean an empty cell.
    pub null: Vec<String>,
    /// The value of the key `encoding`. If it is `None`, the byte order mark decides, and UTF-8 is
    /// the default.
    pub encoding: Option<Encoding>,
    /// The value of the key `dryRun`: if true, the import validates and reports, but stores
    /// nothing.
    pub dry_run: bool,
    /// Warnings about the manifest for the report, for example about unknown keys.
    pub warnings: Vec<String>,
}

/// The byte that replaces a delimiter beyond ASCII in the text of the data file: U+001F.
pub const DELIMITER_SUBSTITUTE: u8 = 0x1F;

impl Manifest {
    /// Returns a manifest with the mandatory values. All other values of the manifest are the
    /// defaults.
    pub fn new(data_type: DataType, file_name: &str, client_email: &str) -> Self {
        Self {
            data_type,
            file_name: file_name.to_owned(),
            client_email: client_email.to_owned(),
            columns: BTreeMap::new(),
            size: None,
            rows: None,
            sha256: None,
            delimiter: b',',
            wide_delimiter: None,
            quoting: Quoting::default(),
            null: Vec::new(),
            encoding: None,
            dry_run: false,
            warnings: Vec::new(),
        }
    }
}

/// The quoting of cells, and the spelling of a quote inside a quoted cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quoting {
    /// A quote inside a quoted cell is written twice.
    #[default]
    Doubled,
    /// A quote inside a quoted cell is written as `\"` or twice, and a backslash as `\\`. Before
    /// other characters a backslash is an ordinary character.
    Backslash,
    /// No cell is quoted, and a quote is an ordinary character.
    None,
}

/// An encoding that a manifest can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    /// The encoding `utf-16le`, or `utf-16` without a byte order mark.
    Utf16Le,
    Utf16Be,
    Windows1252,
}

/// The manifest's entry for one column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    /// The value of the key `ctName`. If it is `None`, the header of the column is the property's
    /// name.
    pub ct_name: Option<String>,
    pub data_type: PropertyType,
    /// The value of the key `format`, for a column with the type DATE.
    pub format: Option<DateFormat>,
}

impl Encoding {
    /// Returns the encoding called `name`: its IANA name, or another usual name. Case, `-`, `_` and
    /// spaces are ignored.
    ///
    /// US-ASCII is read as UTF-8, which contains it. ISO-8859-1 is read as windows-1252, as in
    /// every browser: windows-1252 has the same printable characters and more.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase().replace(['-', '_', ' '], "");
        match name.as_str() {
            "utf8" | "utf8sig" | "utf8bom" | "ascii" | "usascii" => Some(Self::Utf8),
            "utf16" | "utf16le" => Some(Self::Utf16Le),
            "utf16be" => Some(Self::Utf16Be),
            "windows1252" | "cp1252" | "win1252" | "xcp1252" | "iso88591" | "latin1" | "l1" => {
                Some(Self::Windows1252)
            }
            _ => None,
        }
    }
}
