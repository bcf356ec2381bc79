//! Deliveries that are made together: several imports' ends in one mail.

use jiff::Timestamp;
use rusqlite::params;

use super::{Result, Task, millis, read_task};
use crate::state::Transaction;

/// Lets a delivery that was not attempted yet wait until `at`.
///
/// # Errors
/// SQLite's.
pub fn postpone(tx: &Transaction<'_>, id: i64, at: Timestamp) -> Result<()> {
    tx.prepare_cached(
        "UPDATE delivery SET next_attempt_at = ?2
         WHERE id = ?1 AND state = 'pending' AND attempts = 0",
    )?
    .execute(params![id, millis(at)])?;
    Ok(())
}

/// What can go with the delivery `id`: at most `limit` others to the same address, about ends of
/// imports of the same account, that are due by `now` or were not attempted yet. In the order in
/// which they were enqueued.
///
/// # Errors
/// SQLite's.
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
