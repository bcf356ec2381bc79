//! Files and folders: durable changes, locks, handles of directories, and file rights.

pub mod dir;
pub mod durable;
pub mod error;
pub mod lock;
pub mod owner;
pub mod private;

pub use error::IoError;
