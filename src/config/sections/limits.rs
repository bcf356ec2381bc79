//! The section `[limits]` of the configuration file sets the limits that the import rules mark with
//! (c).

use serde::Deserialize;

use crate::config::{Size, UtcTime};

/// The section `[limits]` of the configuration file, and the section `[account.ID.limits]` of one
/// account.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// The maximum size of a data file, both as uploaded and decompressed.
    pub max_data_file: Size,
    pub max_manifest: Size,
    /// The maximum number of files in an account's incoming. If more files wait, the account is
    /// notified and further files are ignored.
    pub max_waiting_files: usize,
    /// The maximum number of bytes in an account's incoming. If more bytes wait, the account is
    /// notified.
    pub max_waiting_bytes: Size,
    /// The maximum number of bytes in an account's results, including error files. Beyond the
    /// maximum, error files are truncated.
    pub max_results: Size,
    pub max_field: Size,
    pub max_record: Size,
    pub max_columns: usize,
    /// The maximum number of characters in the value of a property.
    pub max_property_value: usize,
    pub max_event_properties: usize,
    /// The earliest `ts` that an event may have. The default is the smallest number of nine digits.
    pub min_ts: UtcTime,
    /// If true, a record is rejected if the domain of its Email has no dot.
    pub email_domain_dot: bool,
    /// Event names that are reserved in addition to the built-in reserved names.
    pub reserved_event_names: Vec<String>,
    /// If true, a `'` is added before each cell of the error file that a spreadsheet would run as a
    /// formula.
    pub quote_formulas: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_data_file: Size::mb(5_000),
            max_manifest: Size::mib(1),
            max_waiting_files: 100_000,
            max_waiting_bytes: Size::mb(100_000),
            max_results: Size::mb(20_000),
            max_field: Size::mib(1),
            max_record: Size::mib(4),
            max_columns: 2_000,
            max_property_value: 512,
            max_event_properties: 100,
            min_ts: UtcTime::from_seconds(100_000_000),
            email_domain_dot: true,
            reserved_event_names: Vec::new(),
            quote_formulas: false,
        }
    }
}
