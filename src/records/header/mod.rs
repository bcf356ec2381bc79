//! The header of a data file: its columns, and the schema they give with the manifest.

pub mod columns;
pub mod open;
pub mod schema;
