//! Imports: from a look at an account to a finished report.
//!
//! `intake` takes pairs out of incoming, `queue` says which is next, `worker` runs it through
//! `pipeline` (rejections into `errors`) and answers in `results`, `finish` ends it in one
//! transaction, `stored` keeps it from denying what the store has; `begin` lets a small one begin
//! with its claim; `meanwhile` tells of it until then; `upgrade` finishes what an earlier version
//! left. `sweep` and `retention` take away what has served, `adopt` goes on from a
//! state database that was put back, `export` and `erase` take all of one account. `hearing` knows
//! from the SFTP server's log how uploads ended, and `doubt` says it. `local` is the same pipeline
//! on a laptop's or a sysadmin's own files, whose error files go to an `error_folder`. Decisions
//! are in `state`, `queue` and `verdict`, pure.

mod context;
mod intake;
mod local;
mod maintenance;
pub mod run;
#[cfg(test)]
mod tests;
mod upload_audit;

pub use context::Engine;
pub use intake::survey::Survey;
pub use intake::{IntakeError, Looked};
pub use local::error_folder::ErrorFolder;
pub use local::{Local, LocalError, check, ingest};
pub use maintenance::after_restore::{AdoptError, Adopted};
pub use maintenance::erase::EraseError;
pub use maintenance::export::{ExportError, Listed, Listing};
pub use maintenance::spool_cleanup::SweepError;
pub use run::progress::{Monitor, Progress};
pub use run::transitions::{RetryError, retry};
pub use run::{Ended, RunError};
pub use upload_audit::{Hearing, OnSessionEnd};

/// An import as the state database has it, with what its claim moved.
pub type ImportRow = crate::state::imports::ImportRow<crate::spool::Claim>;
