//! Deliveries retried by hand.

use jiff::Timestamp;
use rusqlite::params;

use super::{Result, millis};
use crate::state::Transaction;

/// Makes a delivery due at `at`, finished or not, and restarts its retry schedule.
///
/// Returns whether the delivery exists.
pub fn retry(tx: &Transaction<'_>, id: i64, at: Timestamp) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE delivery SET state = 'pending', attempts = 0, next_attempt_at = ?2,
                finished_at = NULL WHERE id = ?1",
        params![id, millis(at)],
    )?;
    Ok(changed == 1)
}

/// Makes every failed delivery of `account`, or of all accounts, due at `at`, as [`retry`] does.
/// Returns their ids.
pub fn retry_failed(
    tx: &Transaction<'_>,
    account: Option<&str>,
    at: Timestamp,
) -> Result<Vec<i64>> {
    let mut statement = tx.prepare_cached(
        "UPDATE delivery SET state = 'pending', attempts = 0, next_attempt_at = ?2,
                finished_at = NULL
         WHERE state = 'failed' AND (?1 IS NULL OR milestone IN
                (SELECT id FROM milestone WHERE account = ?1))
         RETURNING id",
    )?;
    let ids = statement.query_map(params![account, millis(at)], |row| row.get(0))?;
    let mut ids: Vec<i64> = ids.collect::<rusqlite::Result<_>>()?;
    ids.sort_unstable(); // RETURNING has no defined order
    Ok(ids)
}
