//! The outbox: notifies partners of the milestones of their imports, by email and by webhook.
//!
//! A milestone has deliveries, and a delivery has attempts. [`enqueue()`] writes a milestone and
//! its deliveries in the caller's transaction, so that a change and its notifications become
//! durable in one step. The [`Relay`] takes no input: it scans the state database for due
//! deliveries, and a wake-up only starts a scan. Every delivery is made at least once, always under
//! the same id. Only the rules of [`retry`] decide that a delivery is given up. This module does
//! not know how imports run or where their files are.

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
pub mod settings;
#[cfg(test)]
mod tests;
mod webhook;

pub use attempt::AttemptRunner;
pub use enqueue::{Error, Recipients, enqueue};
pub use mail::attachment::Attachments;
pub use mail::greet_mail_server;
pub use milestone::{Milestone, message_id};
pub use notice::files_unclaimed::{FilesUnclaimed, enqueue_unclaimed};
pub use relay::Relay;
pub use webhook::endpoint::{InvalidEndpoint, check_name, check_url};
pub use webhook::signature::{InvalidSecret, Secret, signing_secrets};
pub use webhook::ssrf_guard::{EndpointHost, ForbiddenAddress, SsrfGuard};
pub use webhook::{WebhookRequest, WebhookSender};
