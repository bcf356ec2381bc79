//! The ids of users, and the profiles that the ids belong to.

pub mod id_counts;
pub mod id_index;
pub mod id_loader;
pub mod resolve;
