//! From the log lines of sshd and its SFTP server to the outcome of each upload. Pure.
//!
//! [`mod@line`] parses a line of sftp-server, [`login`] one of sshd. [`SessionTracker`] processes the lines
//! of sftp-server in order. It finds the account by the sender's user id, which the kernel reports.
//! It updates the outcome of the file's last write ([`outcomes`], keyed by [`name`]), and adds a line
//! to the activity log, at a limited rate per account ([`display`]).

pub mod activity_limit;
pub mod logged_name;
mod session;
pub mod sftp_server_log;
pub mod sshd_login;
pub mod tracker;
pub mod upload_outcome;

pub use activity_limit::ActivityLine;
pub use logged_name::LoggedName;
pub use sshd_login::Login;
pub use tracker::{AccountUpdate, KeyUse, LogLine, SessionTracker};
pub use upload_outcome::{
    Doubt, UploadOutcome, UploadOutcomes, UploadState, WriteEnd, WriterState,
};
