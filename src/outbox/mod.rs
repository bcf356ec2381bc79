//! The outbox: tells the partner what became of an import, by email and by webhook.
//!
//! milestone → delivery → attempt. [`enqueue()`] writes a milestone and its deliveries in the
//! caller's transaction, so that what is told and what happened become durable together. The
//! [`Relay`] takes no input: it looks into the state database for what is due; a wake-up only says
//! "look". Every delivery is made at least once, always under the same id, and given up only by
//! [`retry`]'s rules. Nothing here knows how imports run or where their files lie.

mod attempt;
mod batching;
mod compose;
mod enqueue;
mod mail;
mod milestone;
mod notice;
mod outcome;
mod relay;
pub mod retry;
#[cfg(test)]
mod tests;
mod told;
mod webhook;

pub use attempt::{Attachments, Courier};
pub use enqueue::{Error, Recipients, enqueue};
pub use mail::greet_mail_server;
pub use milestone::{Milestone, message_id};
pub use notice::files_unclaimed::{FilesUnclaimed, enqueue_unclaimed};
pub use relay::Relay;
pub use webhook::endpoint::{InvalidEndpoint, check_name, check_url};
pub use webhook::signature::{InvalidSecret, Secret};
pub use webhook::ssrf_guard::{Forbidden, Guard, Lookup};
pub use webhook::{Request, Sender};
