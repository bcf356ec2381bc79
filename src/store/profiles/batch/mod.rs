//! Collects an import's records, assigns them to their profiles and merges them in few passes over
//! the profile table, within limits of memory.

mod absorption;
pub mod limits;
mod merge_pass;
mod partitions;
mod record_codec;
mod runs;
mod spill;
mod streaming;
pub mod window;
