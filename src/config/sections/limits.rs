//! `[limits]`: what the import rules call (c), with their defaults.

use serde::Deserialize;

use crate::config::Size;

/// `[limits]`, per account the same.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// A data file, as uploaded and after decompression.
    pub max_data_file: Size,
    /// A manifest.
    pub max_manifest: Size,
    /// Files that may wait in incoming; over it the account is told, and what is beyond it is not
    /// looked at.
    pub max_waiting_files: usize,
    /// Bytes that may wait in incoming; over it the account is told.
    pub max_waiting_bytes: Size,
    /// Answers in an account's results, error files among them; over it the error files are cut.
    pub max_results: Size,
    /// One field of a record.
    pub max_field: Size,
    /// One record.
    pub max_record: Size,
    /// Columns in a header.
    pub max_columns: usize,
    /// A property's value, in characters.
    pub max_property_value: usize,
    /// Properties set on one event.
    pub max_event_properties: usize,
    /// Event names that are reserved beside the built-in ones.
    pub reserved_event_names: Vec<String>,
    /// Put a `'` before cells of the error file that a spreadsheet would run as a formula.
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
            reserved_event_names: Vec::new(),
            quote_formulas: false,
        }
    }
}
