//! From the log lines of sshd and its SFTP server to the outcome of each upload. Pure.
//!
//! [`mod@line`] parses a line of sftp-server, [`login`] one of sshd. [`Ledger`] processes the lines
//! of sftp-server in order. It finds the account by the sender's user id, which the kernel reports.
//! It updates the outcome of the file's last write ([`facts`], keyed by [`name`]), and adds a line
//! to the activity log, at a limited rate per account ([`shown`]).

pub mod activity_limit;
pub mod logged_name;
mod session;
pub mod sftp_server_log;
pub mod sshd_login;
pub mod tracker;
pub mod upload_outcome;

pub use activity_limit::Shown;
pub use logged_name::Name;
pub use sshd_login::Login;
pub use tracker::{Heard, Ledger, Page, Use};
pub use upload_outcome::{Doubt, End, Fact, Facts, Sessions, Upload};
