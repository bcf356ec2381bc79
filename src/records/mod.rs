//! Records: turns a data file's bytes into typed columns, or into rejections with their reasons.
//!
//! It reads the given stream and is pure otherwise: no file paths, no SQL, no clock. The stages of
//! [`read()`]:
//!
//! | stage | files | thread |
//! |---|---|---|
//! | count and digest the bytes, decompress, decode to UTF-8 | `input` | `import-read` |
//! | split into blocks of whole records | `csv::blocks`, `csv::record_ends` | `import-read` |
//! | read the header, plan by the manifest | `header` | the caller's |
//! | find the cells | `csv::lexer`, `csv::structural` | `import-parse` |
//! | check the `rules`, build the batches | `check` | `import-parse` |
//! | format rejected records for the `sink` | `worker`, `error_file` | `import-parse` |
//! | deliver in file order | `reader` | the caller's |
//!
//! [`Scan`] returns the records without checking them.
//!
//! Invariants: the same bytes give the same verdicts, however they are split into reads and
//! workers; read = accepted + rejected; the limits and the number of workers bound the memory, not
//! the size of the file.

pub mod batch;
mod check;
mod csv;
mod error_file;
pub mod header;
mod input;
mod profile_change;
mod reader;
mod rules;
mod scan;
mod sink;
mod worker;

pub use batch::{Batch, ProfileBatch, ProfileRecord};
pub use csv::dialect::Dialect;
pub use error_file::reason_cache::ReasonCache;
pub use error_file::{ErrorFile, push_json_lines};
pub use header::columns::FAILURE_DESCRIPTION;
pub use header::delimiter::separator_line;
pub use header::plan::ReadOptions;
pub use header::schema::{EventSchema, IdKind, Property, Schema};
pub use input::decompress::Compression;
pub use input::file_kind::utf16_without_mark;
pub use profile_change::{Change, Operation, PackedChange, PackedValue, Value, unpack};
pub use reader::{ReadError, ReadSummary, read};
pub use rules::catalogue::{RULES, advice};
pub use rules::event::is_forbidden;
pub use rules::fold;
pub use rules::id::id;
pub use rules::profile::{SpecialProperty, preference};
pub use rules::property::of_type;
pub use rules::rejection::{Rejection, Rule};
pub use scan::{HEAD, Scan, ScannedRecord, decode_head, read_head};
pub use sink::{FileStart, ReadProgress, RejectedRecord, Rejections, Sink};

#[cfg(test)]
mod tests;
