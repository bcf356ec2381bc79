//! The outbox: milestone → delivery → attempt. One writer of these three tables.
//!
//! A delivery is pending and has a next attempt, or it is finished; the schema's CHECKs ensure
//! that. `outbox::retry` decides when to try again.

mod again;
pub mod batch;
mod due;
mod list;

use jiff::Timestamp;
use rusqlite::{Row, params};
use serde::Serialize;

pub use again::{retry, retry_failed};
pub use batch::{companions, earlier, end_of, hold_account, hold_address, postpone};
pub use due::{Due, due, make_due, next_due};
pub use list::{Delivery, Filter, attempts, find, list};

use super::{Error, Result, millis, timestamp};
use crate::state::Transaction;

/// A milestone of an import, as it is stored and delivered.
#[derive(Clone, Debug)]
pub struct Milestone {
    /// `msg_…`: the webhook-id header, and part of the mail's Message-ID.
    pub id: String,
    pub import: Option<String>,
    pub account: String,
    /// `import.picked_up`, …
    pub kind: String,
    pub at: Timestamp,
    /// JSON with type, timestamp and data: the body that a webhook sends, byte for byte.
    pub body: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    Email,
    Webhook,
}

impl Channel {
    /// Returns the channel's name in the state database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Webhook => "webhook",
        }
    }

    fn parse(text: &str) -> Result<Self> {
        match text {
            "email" => Ok(Self::Email),
            "webhook" => Ok(Self::Webhook),
            _ => Err(Error::Value(format!("the channel {text:?}"))),
        }
    }
}

/// What is needed for an attempt at a delivery.
#[derive(Clone, Debug)]
pub struct Task {
    pub milestone: Milestone,
    pub channel: Channel,
    /// A mail address, or an endpoint's name.
    pub destination: String,
    /// Attempts since the delivery was enqueued or last retried by hand.
    pub attempts: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    pub at: Timestamp,
    pub took_ms: i64,
    /// The server's answer, or why there was none.
    pub outcome: String,
}

/// The state of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    Delivered,
    /// Pending, with the time of the next attempt.
    Retry(Timestamp),
    Failed,
}

/// Writes a milestone. Returns false, and writes nothing, if the import has it already.
pub fn add_milestone(tx: &Transaction<'_>, milestone: &Milestone) -> Result<bool> {
    let added = tx
        .prepare_cached(
            "INSERT INTO milestone (id, import, account, type, at, body, retry)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6,
                     coalesce((SELECT retries FROM import WHERE id = ?2), 0))
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            milestone.id,
            milestone.import,
            milestone.account,
            milestone.kind,
            millis(milestone.at),
            milestone.body
        ])?;
    Ok(added == 1)
}

/// Writes a delivery of `milestone` that is due immediately. An error if the milestone has that
/// delivery already.
pub fn add(
    tx: &Transaction<'_>,
    milestone: &Milestone,
    channel: Channel,
    destination: &str,
) -> Result<()> {
    let lane = lane(channel, &milestone.account, destination);
    tx.prepare_cached(
        "INSERT INTO delivery (milestone, channel, destination, lane, next_attempt_at)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        milestone.id,
        channel.as_str(),
        destination,
        lane,
        millis(milestone.at)
    ])?;
    Ok(())
}

/// Returns the lane of a delivery. All mail to an address is one lane, whichever account it is
/// about; an endpoint's lane belongs to its account.
fn lane(channel: Channel, account: &str, destination: &str) -> String {
    match channel {
        Channel::Email => format!("email {}", destination.to_ascii_lowercase()),
        Channel::Webhook => format!("webhook {account} {destination}"),
    }
}

/// Returns what is needed for an attempt at the delivery `id`. `None` if it is not pending any
/// more.
pub fn task(tx: &Transaction<'_>, id: i64) -> Result<Option<Task>> {
    let mut statement = tx.prepare_cached(
        "SELECT m.id, m.import, m.account, m.type, m.at, m.body, d.channel, d.destination, d.attempts
         FROM delivery d JOIN milestone m ON m.id = d.milestone
         WHERE d.id = ?1 AND d.state = 'pending'",
    )?;
    let mut rows = statement.query([id])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    read_task(row).map(Some)
}

/// Reads a task from columns in the order of [`task`].
fn read_task(row: &Row<'_>) -> Result<Task> {
    Ok(Task {
        milestone: Milestone {
            id: row.get(0)?,
            import: row.get(1)?,
            account: row.get(2)?,
            kind: row.get(3)?,
            at: timestamp(row.get(4)?)?,
            body: row.get(5)?,
        },
        channel: Channel::parse(&row.get::<_, String>(6)?)?,
        destination: row.get(7)?,
        attempts: row.get(8)?,
    })
}

/// Writes an attempt, and the state of the delivery after it. Returns false if the delivery was
/// finished during the attempt or was removed with its account.
pub fn record(tx: &Transaction<'_>, id: i64, attempt: &Attempt, after: After) -> Result<bool> {
    let end = millis(attempt.at) + attempt.took_ms;
    let (state, next, finished) = match after {
        After::Delivered => ("delivered", None, Some(end)),
        After::Retry(at) => ("pending", Some(millis(at)), None),
        After::Failed => ("failed", None, Some(end)),
    };
    let error = (after != After::Delivered).then_some(&attempt.outcome);
    let changed = tx
        .prepare_cached(
            "UPDATE delivery SET state = ?2, attempts = attempts + 1, next_attempt_at = ?3,
                finished_at = ?4, last_error = ?5
         WHERE id = ?1 AND state = 'pending'",
        )?
        .execute(params![id, state, next, finished, error])?;
    tx.prepare_cached(
        "INSERT INTO attempt (delivery, n, at, took_ms, outcome)
         SELECT id, (SELECT coalesce(max(n), 0) + 1 FROM attempt WHERE delivery = ?1), ?2, ?3, ?4
         FROM delivery WHERE id = ?1",
    )?
    .execute(params![id, millis(attempt.at), attempt.took_ms, attempt.outcome])?;
    Ok(changed == 1)
}

/// Fails every pending delivery to an endpoint with the error `why`. Returns how many.
pub fn fail_pending(
    tx: &Transaction<'_>,
    at: Timestamp,
    account: &str,
    endpoint: &str,
    why: &str,
) -> Result<usize> {
    let lane = lane(Channel::Webhook, account, endpoint);
    Ok(tx.execute(
        "UPDATE delivery SET state = 'failed', next_attempt_at = NULL, finished_at = ?1,
                last_error = ?2
         WHERE state = 'pending' AND lane = ?3",
        params![millis(at), why, lane],
    )?)
}

#[cfg(test)]
mod tests;
