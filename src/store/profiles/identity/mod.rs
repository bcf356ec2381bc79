//! Which profile a record belongs to, by its ids.

pub mod id_index;
pub mod key_order;
pub mod resolve;
