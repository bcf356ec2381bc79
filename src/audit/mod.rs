//! From the log lines of sshd and its SFTP server to the outcome of each upload. Pure.
//!
//! [`mod@line`] parses a line of sftp-server, [`login`] one of sshd. [`Ledger`] processes the lines
//! of sftp-server in order. It finds the account by the sender's user id, which the kernel reports.
//! It updates the outcome of the file's last write ([`facts`], keyed by [`name`]), and adds a line
//! to the activity log, at a limited rate per account ([`shown`]).

pub mod facts;
pub mod ledger;
pub mod line;
pub mod login;
pub mod name;
pub mod shown;

pub use facts::{Doubt, End, Fact, Facts, Sessions, Upload};
pub use ledger::{Heard, Ledger, Page, Use};
pub use login::Login;
pub use name::Name;
pub use shown::Shown;
