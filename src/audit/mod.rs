//! What sshd and its SFTP server say about accounts' sessions, and what follows from it. Pure.
//!
//! [`mod@line`] reads a line of sftp-server's, [`login`] one of sshd's. [`Ledger`] takes the former
//! one after the other: who said it, by the user id that the kernel vouches for; what it means for the
//! file ([`facts`], by [`name`]); and what of it goes to the activity log, which is bounded however
//! much an account does ([`shown`]).

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
