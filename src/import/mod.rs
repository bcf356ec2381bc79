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

/// An import's row in the state database, with its claim.
pub type ImportRow = crate::state::imports::ImportRow<crate::spool::Claim>;
