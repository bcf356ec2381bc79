//! Lists deliveries and attempts for a sysadmin. The functions only read.

use jiff::Timestamp;
use rusqlite::{Row, params};
use serde::Serialize;

use super::delivery::{Attempt, Channel};
use crate::state::db::transaction::{optional_time, parsed, time};
use crate::state::{Result, Transaction};

/// A delivery, as commands show it to a sysadmin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    pub id: i64,
    pub account: String,
    pub import: Option<String>,
    /// The kind of the milestone, such as `import.picked_up`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The time at which the milestone was reached.
    pub at: Timestamp,
    /// The id of the milestone, which begins with `msg_`.
    pub message: String,
    pub channel: Channel,
    /// The mail address or the name of the endpoint that gets the delivery.
    pub destination: String,
    /// The state of the delivery: `pending`, `delivered` or `failed`.
    pub state: String,
    /// The number of attempts since the delivery was enqueued, or since a sysadmin last retried
    /// the delivery.
    pub attempts: u32,
    /// The time of the next attempt at the delivery. `None` if the delivery is finished.
    pub next_attempt_at: Option<Timestamp>,
    /// The time at which the delivery succeeded or failed. `None` while the delivery is pending.
    pub finished_at: Option<Timestamp>,
    pub last_error: Option<String>,
}

/// The conditions for the deliveries in a list. A field that is `None` matches every delivery.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    pub account: Option<String>,
    pub import: Option<String>,
    pub channel: Option<Channel>,
    /// The required state of the deliveries: `pending`, `delivered` or `failed`.
    pub state: Option<&'static str>,
    /// The maximum number of deliveries in the list. If more deliveries match, the newest are
    /// listed.
    pub limit: u32,
}

const COLUMNS: &str = "d.id, m.account, m.import, m.type, m.at, m.id, d.channel, d.destination,
     d.state, d.attempts, d.next_attempt_at, d.finished_at, d.last_error
     FROM delivery d JOIN milestone m ON m.id = d.milestone";

/// Returns the newest deliveries that match `filter`. The oldest of them is first.
pub fn list(tx: &Transaction<'_>, filter: &DeliveryFilter) -> Result<Vec<Delivery>> {
    let sql = format!(
        "SELECT {COLUMNS} WHERE (?1 IS NULL OR m.account = ?1) AND (?2 IS NULL OR d.state = ?2)
           AND (?4 IS NULL OR m.import = ?4) AND (?5 IS NULL OR d.channel = ?5)
         ORDER BY d.id DESC LIMIT ?3"
    );
    let DeliveryFilter { account, import, channel, state, limit } = filter;
    let channel = channel.map(Channel::as_str);
    let values = params![account, state, limit, import, channel];
    let mut deliveries = tx.select(&sql, values, from_row)?;
    deliveries.reverse();
    Ok(deliveries)
}

pub fn find(tx: &Transaction<'_>, id: i64) -> Result<Option<Delivery>> {
    tx.select_first(&format!("SELECT {COLUMNS} WHERE d.id = ?1"), [id], from_row)
}

fn from_row(row: &Row<'_>) -> Result<Delivery> {
    Ok(Delivery {
        id: row.get(0)?,
        account: row.get(1)?,
        import: row.get(2)?,
        kind: row.get(3)?,
        at: time(row, 4)?,
        message: row.get(5)?,
        channel: parsed(row, 6)?,
        destination: row.get(7)?,
        state: row.get(8)?,
        attempts: row.get(9)?,
        next_attempt_at: optional_time(row, 10)?,
        finished_at: optional_time(row, 11)?,
        last_error: row.get(12)?,
    })
}

/// Returns all attempts at the delivery `id`. The oldest attempt is first.
pub fn list_attempts(tx: &Transaction<'_>, id: i64) -> Result<Vec<Attempt>> {
    let sql = "SELECT at, took_ms, outcome FROM attempt WHERE delivery = ?1 ORDER BY n";
    tx.select(sql, [id], |row| {
        Ok(Attempt { at: time(row, 0)?, took_ms: row.get(1)?, outcome: row.get(2)? })
    })
}
