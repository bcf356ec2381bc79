//! The profile merge, apart from the database that stores its result.

pub mod batch;
pub mod identity;
pub mod properties;
