//! Finds the oldest due delivery of each lane, and the time at which the next delivery is due.

use super::delivery::Channel;
use crate::state::db::transaction::{optional_time, parsed};
use crate::state::{Result, Transaction, millis};
use jiff::Timestamp;

/// The oldest delivery of a lane that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueDelivery {
    pub id: i64,
    pub channel: Channel,
    /// The lane of the delivery. Deliveries of one lane are attempted one after another, in order.
    pub lane: String,
    /// The URL of the endpoint that gets the delivery. `None` for mail.
    pub url: Option<String>,
}

/// Returns the oldest due delivery of every lane that has a due delivery. The oldest delivery is
/// first.
///
/// The query uses an index to go from lane to lane. Its cost depends on the number of lanes, not on
/// the number of deliveries. Therefore a day's backlog of mail delays neither the relay nor
/// imports, which use the same database.
pub fn list_due(tx: &Transaction<'_>, now: Timestamp) -> Result<Vec<DueDelivery>> {
    tx.select(
        "WITH RECURSIVE pending (lane) AS (
             SELECT min(lane) FROM delivery WHERE state = 'pending'
             UNION ALL
             SELECT (SELECT min(d.lane) FROM delivery d
                     WHERE d.state = 'pending' AND d.lane > pending.lane)
             FROM pending WHERE pending.lane IS NOT NULL),
         first (id) AS (
             SELECT (SELECT d.id FROM delivery d
                     WHERE d.state = 'pending' AND d.lane = pending.lane
                       AND d.next_attempt_at <= ?1
                     ORDER BY d.next_attempt_at, d.id LIMIT 1)
             FROM pending)
         SELECT d.id, d.channel, d.lane, e.url
         FROM first JOIN delivery d ON d.id = first.id JOIN milestone m ON m.id = d.milestone
         LEFT JOIN endpoint e
            ON d.channel = 'webhook' AND e.account = m.account AND e.name = d.destination
         ORDER BY d.next_attempt_at, d.id",
        [millis(now)],
        |row| {
            let (id, channel) = (row.get(0)?, parsed(row, 1)?);
            Ok(DueDelivery { id, channel, lane: row.get(2)?, url: row.get(3)? })
        },
    )
}

/// Returns the earliest time after `now` at which a pending delivery becomes due.
pub fn next_due(tx: &Transaction<'_>, now: Timestamp) -> Result<Option<Timestamp>> {
    let next = tx.select_first(
        "SELECT min(next_attempt_at) FROM delivery
         WHERE state = 'pending' AND next_attempt_at > ?1",
        [millis(now)],
        |row| optional_time(row, 0),
    )?;
    Ok(next.flatten())
}
