//! Determines the outcome of each upload from the log lines of sshd and its SFTP server. This
//! module is pure.
//!
//! [`sftp_server_log`] parses lines of sftp-server, and [`sshd_login`] parses lines of sshd.
//! [`SessionTracker`] processes the lines of sftp-server in order. The tracker finds the account by
//! the sender's user id, which the kernel reports. It updates the outcome of the file's last write
//! ([`upload_outcome`], keyed by [`LoggedName`]), and adds a line to the activity log, at a limited
//! rate per account ([`activity_limit`]). [`RefusedLogins`] counts the keys that sshd refused.

pub mod activity_limit;
pub mod logged_name;
pub mod refused_logins;
mod session;
pub mod sftp_server_log;
pub mod sshd_login;
pub mod tracker;
pub mod upload_outcome;

pub use activity_limit::ActivityLine;
pub use logged_name::LoggedName;
pub use refused_logins::{RefusedKey, RefusedLogins, RefusedUpdate};
pub use sshd_login::{KeyUse, Login};
pub use tracker::{AccountUpdate, LogLine, SessionTracker};
pub use upload_outcome::{
    Doubt, UploadOutcome, UploadOutcomes, UploadState, WriteEnd, WriterState,
};
