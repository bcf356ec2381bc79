//! Imports: from a scan of an account's incoming to a finished report.
//!
//! `intake` claims pairs out of incoming. `queue` picks the next import, `worker` runs it through
//! `pipeline` (rejected records go through `errors`), writes its answer with `results`, and
//! `finish` ends it in one transaction. `stored` asks the store before an import is reported as
//! failed. `begin` starts a small import in the transaction of its claim. `meanwhile` writes
//! progress reports. `upgrade` completes claims of an earlier version. `sweep` and `retention`
//! remove files and rows that are no longer needed, `adopt` reconciles a restored state database,
//! `export` and `erase` handle all data of one account. `hearing` reads the SFTP server's log, and
//! `doubt` words the warnings about uploads that may be incomplete. `local` runs the same pipeline
//! on local files, with error files in an `error_folder`. Decisions are in `state`, `queue` and
//! `verdict`, pure.

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

/// An import's row in the state database, with its claim.
pub type ImportRow = crate::state::imports::ImportRow<crate::spool::Claim>;
