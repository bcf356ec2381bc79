//! Imports: from a look at an account to a finished report.
//!
//! `intake` takes pairs out of incoming, `queue` says which is next, `worker` runs it through
//! `pipeline` (rejections into `errors`) and answers in results/, `finish` ends it in one
//! transaction; `local` is the same pipeline on a laptop's or a sysadmin's own files. Decisions are
//! in `state` and `queue`, pure.

mod engine;
mod errors;
mod finish;
mod intake;
mod local;
mod monitor;
pub mod pipeline;
pub mod queue;
pub mod state;
mod worker;

pub use engine::Engine;
pub use finish::retry;
pub use intake::{IntakeError, Looked};
pub use local::{ErrorFolder, Local, LocalError, check, ingest};
pub use monitor::{Monitor, Progress};
pub use worker::{Ended, RunError};

/// An import as the state database has it, with what its claim moved.
pub type ImportRow = crate::state::imports::ImportRow<crate::spool::Claim>;

/// An error and its causes on one line, for the log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
