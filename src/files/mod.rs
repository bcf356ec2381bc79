//! Files that nothing else of the crate explains: locks, owners, private files, directory handles, durable writes.

pub mod dir;
pub mod durable;
pub mod error;
pub mod lock;
pub mod owner;
pub mod private;
