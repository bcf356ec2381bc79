//! The records of one import on their way to the merge: in memory, spilled as sorted runs, merged in passes.

pub mod merge_pass;
pub mod partitions;
pub mod record_codec;
pub mod runs;
pub mod spill;
pub mod streaming;
pub mod window;
