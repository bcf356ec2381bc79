//! Reads a data file: turns its bytes into records with typed columns, or into rejections with
//! reasons.
//!
//! The only input and output of this module is the given stream. It uses no file paths, no SQL and
//! no clock. [`read()`] has these stages:
//!
//! | stage | files | thread |
//! |---|---|---|
//! | count and digest the bytes, decompress, decode to UTF-8 | `input` | `import-read` |
//! | split into blocks of whole records | `csv::blocks`, `csv::record_ends` | `import-read` |
//! | read the header, plan the columns by the manifest | `header` | the caller's |
//! | find the cells | `csv::lexer`, `csv::structural` | `import-parse` |
//! | check the `rules`, build the batches | `check` | `import-parse` |
//! | format rejected records for the `sink` | `worker`, `error_file` | `import-parse` |
//! | deliver in file order | `reader` | the caller's |
//!
//! [`Scan`] returns the records without checking them.
//!
//! Invariants: the same bytes have the same result, however they are split into reads and among
//! workers. The number of records read is the sum of accepted and rejected records. The memory
//! depends on the limits and the number of workers, and not on the size of the file.

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
