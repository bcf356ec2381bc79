//! Ids and the profiles that they belong to.

pub mod id_counts;
pub mod id_index;
pub mod id_loader;
pub mod resolve;
