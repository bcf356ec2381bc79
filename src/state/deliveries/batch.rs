//! Batches of deliveries: one mail about the end of several imports, and the deliveries that wait
//! for it.

use jiff::Timestamp;
use rusqlite::params;

use super::{Channel, Result, Task, lane, millis, read_task};
use crate::state::Transaction;

/// Postpones a delivery that was not attempted yet until `at`.
pub fn postpone(tx: &Transaction<'_>, id: i64, at: Timestamp) -> Result<()> {
    tx.prepare_cached(
        "UPDATE delivery SET next_attempt_at = ?2
         WHERE id = ?1 AND state = 'pending' AND attempts = 0",
    )?
    .execute(params![id, millis(at)])?;
    Ok(())
}

/// Returns the deliveries that can be sent in one mail with the delivery `id`, in the order in
/// which they were enqueued.
///
/// These are at most `limit` others to the same address, about the end of imports of the same
/// account, that are due by `now` or were not attempted yet.
pub fn companions(
    tx: &Transaction<'_>,
    id: i64,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<(i64, Task)>> {
    let mut statement = tx.prepare_cached(
        "SELECT m.id, m.import, m.account, m.type, m.at, m.body, d.channel, d.destination,
                d.attempts, d.id
         FROM delivery d JOIN milestone m ON m.id = d.milestone,
              delivery first JOIN milestone of_first ON of_first.id = first.milestone
         WHERE first.id = ?1 AND d.lane = first.lane AND d.state = 'pending' AND d.id <> first.id
           AND m.account = of_first.account AND m.type IN ('import.completed', 'import.failed')
           AND (d.attempts = 0 OR d.next_attempt_at <= ?2)
         ORDER BY d.id LIMIT ?3",
    )?;
    let mut rows = statement.query(params![id, millis(now), limit])?;
    let mut companions = Vec::new();
    while let Some(row) = rows.next()? {
        companions.push((row.get(9)?, read_task(row)?));
    }
    Ok(companions)
}

/// Postpones every mail to `address` that is due earlier until `until`. Returns how many.
pub fn hold_address(tx: &Transaction<'_>, address: &str, until: Timestamp) -> Result<usize> {
    let held = tx
        .prepare_cached(
            "UPDATE delivery SET next_attempt_at = ?2
             WHERE state = 'pending' AND lane = ?1 AND next_attempt_at < ?2",
        )?
        .execute(params![lane(Channel::Email, "", address), millis(until)])?;
    Ok(held)
}

/// Postpones every mail of `account` that is due earlier until `until`. Returns how many.
pub fn hold_account(tx: &Transaction<'_>, account: &str, until: Timestamp) -> Result<usize> {
    let held = tx
        .prepare_cached(
            "UPDATE delivery SET next_attempt_at = ?2
             WHERE state = 'pending' AND channel = 'email' AND next_attempt_at < ?2
               AND milestone IN (SELECT id FROM milestone WHERE account = ?1)",
        )?
        .execute(params![account, millis(until)])?;
    Ok(held)
}

/// Returns the pending delivery to the same address about the end of the import that the delivery
/// `id` is about.
pub fn end_of(tx: &Transaction<'_>, id: i64) -> Result<Option<(i64, Task)>> {
    Ok(of_same_import(tx, id, true)?.pop())
}

/// Returns the pending deliveries to the same address about earlier milestones of the import that
/// the delivery `id` is about.
pub fn earlier(tx: &Transaction<'_>, id: i64) -> Result<Vec<(i64, Task)>> {
    of_same_import(tx, id, false)
}

fn of_same_import(tx: &Transaction<'_>, id: i64, ends: bool) -> Result<Vec<(i64, Task)>> {
    let mut statement = tx.prepare_cached(
        "SELECT m.id, m.import, m.account, m.type, m.at, m.body, d.channel, d.destination,
                d.attempts, d.id
         FROM delivery this JOIN milestone of_this ON of_this.id = this.milestone
         JOIN milestone m ON m.import = of_this.import
         JOIN delivery d ON d.milestone = m.id
         WHERE this.id = ?1 AND d.lane = this.lane AND d.state = 'pending' AND d.id <> this.id
           AND (m.type IN ('import.completed', 'import.failed')) = ?2
         ORDER BY d.id",
    )?;
    let mut rows = statement.query(params![id, ends])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((row.get(9)?, read_task(row)?));
    }
    Ok(found)
}
