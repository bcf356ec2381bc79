//! The outbox: notifies partners of the milestones of their imports, by email and by webhook.
//!
//! milestone → delivery → attempt. [`enqueue()`] writes a milestone and its deliveries in the
//! caller's transaction, so that an event and its notifications become durable in one step. The
//! [`Relay`] takes no input: it scans the state database for due deliveries, and a wake-up only
//! starts a scan. Every delivery is made at least once, always under the same id. Only the rules of
//! [`retry`] give one up. This module does not know how imports run or where their files are.

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
