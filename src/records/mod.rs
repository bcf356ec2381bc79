//! Records: from a data file's bytes to typed columns, or to rejections with their reasons.
//!
//! Pure but for reading the given stream: no file paths, no SQL, no clock. [`read`] drives it.

pub mod batch;
pub mod schema;

pub use batch::{Batch, Change, Operation, ProfileBatch, ProfileRecord, Value};
pub use schema::{EventSchema, IdKind, Property, PropertyType, Schema};
