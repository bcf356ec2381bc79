//! What sshd and its SFTP server say about accounts' sessions, and what follows from it. Pure.
//!
//! [`mod@line`] reads a line of sftp-server's, [`login`] one of sshd's. [`Ledger`] takes the former
//! one after the other: who said it, by the user id that the kernel vouches for; what it means for the
//! file ([`facts`], by [`name`]); and what of it goes to the activity log, which is bounded however
//! much an account does ([`shown`]).

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
