//! Checks blocks of records against the rules. Collects the accepted records into batches.

pub mod block;
pub mod events;
pub mod explain;
pub mod filter;
pub mod form;
pub mod name_cache;
pub mod own_fields;
pub mod profiles;
pub mod rows;
pub mod string_column;
