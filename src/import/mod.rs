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

mod adopt;
mod begin;
mod doubt;
mod empties;
mod engine;
mod erase;
mod error_folder;
mod errors;
mod export;
mod finish;
mod hearing;
mod incoming_full;
mod intake;
mod journal;
mod local;
mod log_links;
mod meanwhile;
mod monitor;
mod news;
pub mod pipeline;
pub mod queue;
mod results;
mod retention;
pub mod state;
mod stored;
mod survey;
mod sweep;
#[cfg(test)]
mod tests;
mod unclaimed;
mod upgrade;
mod verdict;
mod worker;

pub use adopt::{AdoptError, Adopted};
pub use engine::Engine;
pub use erase::EraseError;
pub use error_folder::ErrorFolder;
pub use export::{ExportError, Listed, Listing};
pub use finish::{RetryError, retry};
pub use hearing::{Hearing, OnSessionEnd};
pub use intake::{IntakeError, Looked};
pub use local::{Local, LocalError, check, ingest};
pub use monitor::{Monitor, Progress};
pub use survey::Survey;
pub use sweep::SweepError;
pub use worker::{Ended, RunError};

/// An import as the state database has it, with what its claim moved.
pub type ImportRow = crate::state::imports::ImportRow<crate::spool::Claim>;
