//! Records: turns a data file's bytes into typed columns, or into rejections with their reasons.
//!
//! It reads the given stream and is pure otherwise: no file paths, no SQL, no clock. The stages of
//! [`read()`]:
//!
//! | stage | file | thread |
//! |---|---|---|
//! | count and digest the bytes as uploaded | `source` | reader |
//! | decompress | `decompress` | reader |
//! | decode to UTF-8 | `decode` | reader |
//! | split into blocks of whole records | `split`, `buffer`, `quotes` | reader |
//! | read the header, plan by the manifest | `open`, `columns` | the caller's |
//! | find the cells | `lex`, `marks` | worker |
//! | check the `rules`, build the batch | `parse`, `event`, `recent_names`, `texts`, `short`, `pieces`, `profile`, `explain` | worker |
//! | format rejected records for the `sink` | `worker`, `error_file`, `errors_jsonl` | worker |
//! | deliver in file order | `read` | the caller's |
//!
//! Invariants: the same bytes give the same verdicts, however they are split into reads and
//! workers; read = accepted + rejected; the limits and the number of workers bound the memory, not
//! the size of the file.

pub mod batch;
mod check;
mod csv;
mod error_file;
mod errors_jsonl;
pub mod header;
mod input;
mod profile_change;
mod reader;
mod rules;
mod sink;
mod worker;

pub use batch::{Batch, ProfileBatch, ProfileRecord};
pub use error_file::ErrorFile;
pub use error_file::reason_cache::Phrases;
pub use errors_jsonl::push_json_lines;
pub use header::schema::{EventSchema, IdKind, Property, PropertyType, Schema};
pub use input::decompress::Compression;
pub use profile_change::{Change, Operation, PackedChange, PackedValue, Value, unpack};
pub use reader::{Options, Stopped, Summary, read};
pub use rules::rejection::{Rejection, Rule};
pub use sink::{Progress, RejectedRecord, Rejections, Sink, Start};

#[cfg(test)]
mod tests;
