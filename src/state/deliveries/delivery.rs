//! The types of milestones, deliveries and attempts in the state database, and the functions that
//! write them.

use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::{Row, params};
use serde::Serialize;

use crate::state::db::transaction::{parsed, time};
use crate::state::{Error, Result, Transaction, millis};

/// A milestone of an import in the form in which the state database stores it and webhooks deliver
/// it.
#[derive(Clone, Debug)]
pub struct MilestoneRow {
    /// The id of the milestone, which begins with `msg_`. It is the header webhook-id, and a part
    /// of the Message-ID of mails.
    pub id: String,
    pub import: Option<String>,
    pub account: String,
    /// The kind of milestone, such as `import.picked_up`.
    pub kind: String,
    pub at: Timestamp,
    /// The JSON body with type, timestamp and data. A webhook sends this body byte for byte.
    pub body: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    Email,
    Webhook,
}

impl Channel {
    /// Returns the name of the channel in the state database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Webhook => "webhook",
        }
    }
}

impl FromStr for Channel {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "email" => Ok(Self::Email),
            "webhook" => Ok(Self::Webhook),
            _ => Err(Error::Value(format!("an unknown channel: {text:?}"))),
        }
    }
}

/// The data that an attempt to make a delivery needs.
#[derive(Clone, Debug)]
pub struct DeliveryTask {
    pub milestone: MilestoneRow,
    pub channel: Channel,
    /// The mail address or the name of the endpoint that gets the delivery.
    pub destination: String,
    /// The number of attempts since the delivery was enqueued, or since a sysadmin last retried
    /// the delivery.
    pub attempts: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    pub at: Timestamp,
    pub took_ms: i64,
    /// The answer of the server, or the reason why the server did not answer.
    pub outcome: String,
}

/// The state of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    Delivered,
    /// The delivery is pending. The value is the time of the next attempt.
    Retry(Timestamp),
    Failed,
}

/// Writes a milestone. Returns false and writes nothing if the import already has the milestone.
pub fn add_milestone(tx: &Transaction<'_>, milestone: &MilestoneRow) -> Result<bool> {
    let MilestoneRow { id, import, account, kind, at, body } = milestone;
    let added = tx.change(
        "INSERT INTO milestone (id, import, account, type, at, body, retry)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6,
                 coalesce((SELECT retries FROM import WHERE id = ?2), 0))
         ON CONFLICT DO NOTHING",
        params![id, import, account, kind, millis(*at), body],
    )?;
    Ok(added == 1)
}

/// Adds a delivery of `milestone` that is due immediately. Returns an error if the milestone
/// already has the same delivery.
pub fn add(
    tx: &Transaction<'_>,
    milestone: &MilestoneRow,
    channel: Channel,
    destination: &str,
) -> Result<()> {
    let lane = lane(channel, &milestone.account, destination);
    tx.change(
        "INSERT INTO delivery (milestone, channel, destination, lane, next_attempt_at)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![milestone.id, channel.as_str(), destination, lane, millis(milestone.at)],
    )?;
    Ok(())
}

/// Returns the lane of a delivery. All mail to one address is in one lane, even for different
/// accounts. The lane of an endpoint belongs to one account.
pub fn lane(channel: Channel, account: &str, destination: &str) -> String {
    match channel {
        Channel::Email => format!("email {}", destination.to_ascii_lowercase()),
        Channel::Webhook => format!("webhook {account} {destination}"),
    }
}

/// Returns the data that an attempt at the delivery `id` needs. Returns `None` if the delivery is
/// not pending.
pub fn find_task(tx: &Transaction<'_>, id: i64) -> Result<Option<DeliveryTask>> {
    let sql = format!(
        "SELECT {TASK_COLUMNS} FROM delivery d JOIN milestone m ON m.id = d.milestone
         WHERE d.id = ?1 AND d.state = 'pending'"
    );
    tx.select_first(&sql, [id], |row| Ok(read_task(row)?.1))
}

/// The columns of the tables delivery (`d`) and milestone (`m`) that [`read_task`] reads.
pub const TASK_COLUMNS: &str = "d.id, m.id, m.import, m.account, m.type, m.at, m.body, \
                                       d.channel, d.destination, d.attempts";

/// Reads the id and the task of a delivery from the columns of [`TASK_COLUMNS`].
pub fn read_task(row: &Row<'_>) -> Result<(i64, DeliveryTask)> {
    let milestone = MilestoneRow {
        id: row.get(1)?,
        import: row.get(2)?,
        account: row.get(3)?,
        kind: row.get(4)?,
        at: time(row, 5)?,
        body: row.get(6)?,
    };
    let channel = parsed(row, 7)?;
    let task = DeliveryTask { milestone, channel, destination: row.get(8)?, attempts: row.get(9)? };
    Ok((row.get(0)?, task))
}

/// Writes an attempt and the new state of its delivery. Returns false if the delivery was finished
/// during the attempt, or was removed with its account.
pub fn record_attempt(
    tx: &Transaction<'_>,
    id: i64,
    attempt: &Attempt,
    result: AttemptResult,
) -> Result<bool> {
    let Attempt { at, took_ms, outcome } = attempt;
    let end = millis(*at) + took_ms;
    let (state, next, finished) = match result {
        AttemptResult::Delivered => ("delivered", None, Some(end)),
        AttemptResult::Retry(at) => ("pending", Some(millis(at)), None),
        AttemptResult::Failed => ("failed", None, Some(end)),
    };
    let error = (result != AttemptResult::Delivered).then_some(outcome);
    let changed = tx.change(
        "UPDATE delivery SET state = ?2, attempts = attempts + 1, next_attempt_at = ?3,
                finished_at = ?4, last_error = ?5
         WHERE id = ?1 AND state = 'pending'",
        params![id, state, next, finished, error],
    )?;
    tx.change(
        "INSERT INTO attempt (delivery, n, at, took_ms, outcome)
         SELECT id, (SELECT coalesce(max(n), 0) + 1 FROM attempt WHERE delivery = ?1), ?2, ?3, ?4
         FROM delivery WHERE id = ?1",
        params![id, millis(*at), took_ms, outcome],
    )?;
    Ok(changed == 1)
}
