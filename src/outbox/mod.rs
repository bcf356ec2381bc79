//! The outbox: tells the partner what became of an import, by email and by webhook.
//!
//! milestone → delivery → attempt. [`enqueue()`] writes a milestone and its deliveries in the
//! caller's transaction, so that what is told and what happened become durable together. The
//! [`Relay`] takes no input: it looks into the state database for what is due; a wake-up only says
//! "look". Every delivery is made at least once, always under the same id, and given up only by
//! [`retry`]'s rules. Nothing here knows how imports run or where their files lie.

mod attempt;
mod email;
mod endpoint;
mod enqueue;
mod guard;
mod letter;
mod mailing;
mod milestone;
mod notice;
mod pace;
mod packing;
mod record;
mod relay;
pub mod retry;
mod samples;
mod signature;
#[cfg(test)]
mod tests;
mod together;
mod told;
mod unclaimed;
mod webhook;

pub use attempt::{Attachments, Courier};
pub use email::greet_mail_server;
pub use endpoint::{InvalidEndpoint, check_name, check_url};
pub use enqueue::{Error, Recipients, enqueue};
pub use guard::{Forbidden, Guard, Lookup};
pub use milestone::{Milestone, message_id};
pub use relay::Relay;
pub use signature::{InvalidSecret, Secret};
pub use unclaimed::{FilesUnclaimed, enqueue_unclaimed};
pub use webhook::{Request, Sender};
