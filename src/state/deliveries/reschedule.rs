//! Changes the times at which deliveries are attempted.

use jiff::Timestamp;
use rusqlite::params;

use super::delivery::{Channel, lane};
use crate::state::{Result, Transaction, millis};

/// Makes a delivery due at the time `at` and restarts its retry schedule. The delivery may be
/// finished.
///
/// Returns false if the delivery does not exist.
pub fn retry(tx: &Transaction<'_>, id: i64, at: Timestamp) -> Result<bool> {
    let changed = tx.change(
        "UPDATE delivery SET state = 'pending', attempts = 0, next_attempt_at = ?2,
                finished_at = NULL WHERE id = ?1",
        params![id, millis(at)],
    )?;
    Ok(changed == 1)
}

/// Makes every failed delivery of `account`, or of all accounts, due at the time `at`, and
/// restarts its retry schedule. Returns the ids of these deliveries.
pub fn retry_failed(
    tx: &Transaction<'_>,
    account: Option<&str>,
    at: Timestamp,
) -> Result<Vec<i64>> {
    let mut ids: Vec<i64> = tx.select(
        "UPDATE delivery SET state = 'pending', attempts = 0, next_attempt_at = ?2,
                finished_at = NULL
         WHERE state = 'failed' AND (?1 IS NULL OR milestone IN
                (SELECT id FROM milestone WHERE account = ?1))
         RETURNING id",
        params![account, millis(at)],
        |row| Ok(row.get(0)?),
    )?;
    ids.sort_unstable(); // SQLite returns the ids in no defined order
    Ok(ids)
}

/// Marks every pending delivery to an endpoint as failed with the error `why`. Returns the number
/// of these deliveries.
pub fn fail_pending(
    tx: &Transaction<'_>,
    at: Timestamp,
    account: &str,
    endpoint: &str,
    why: &str,
) -> Result<usize> {
    let lane = lane(Channel::Webhook, account, endpoint);
    tx.change(
        "UPDATE delivery SET state = 'failed', next_attempt_at = NULL, finished_at = ?1,
                last_error = ?2
         WHERE state = 'pending' AND lane = ?3",
        params![millis(at), why, lane],
    )
}

/// Makes every pending delivery that is scheduled after `latest` due at `now`.
pub fn make_due(tx: &Transaction<'_>, now: Timestamp, latest: Timestamp) -> Result<()> {
    tx.change(
        "UPDATE delivery SET next_attempt_at = ?1
         WHERE state = 'pending' AND next_attempt_at > ?2",
        [millis(now), millis(latest)],
    )?;
    Ok(())
}

/// Postpones a delivery until the time `at` if the delivery was not attempted yet.
pub fn postpone(tx: &Transaction<'_>, id: i64, at: Timestamp) -> Result<()> {
    tx.change(
        "UPDATE delivery SET next_attempt_at = ?2
         WHERE id = ?1 AND state = 'pending' AND attempts = 0",
        [id, millis(at)],
    )?;
    Ok(())
}

/// Postpones every mail to `address` that is due before `until` to the time `until`. Returns the
/// number of postponed mails.
pub fn postpone_address(tx: &Transaction<'_>, address: &str, until: Timestamp) -> Result<usize> {
    tx.change(
        "UPDATE delivery SET next_attempt_at = ?2
         WHERE state = 'pending' AND lane = ?1 AND next_attempt_at < ?2",
        params![lane(Channel::Email, "", address), millis(until)],
    )
}

/// Postpones every mail of `account` that is due before `until` to the time `until`. Returns the
/// number of postponed mails.
pub fn postpone_account(tx: &Transaction<'_>, account: &str, until: Timestamp) -> Result<usize> {
    tx.change(
        "UPDATE delivery SET next_attempt_at = ?2
         WHERE state = 'pending' AND channel = 'email' AND next_attempt_at < ?2
           AND milestone IN (SELECT id FROM milestone WHERE account = ?1)",
        params![account, millis(until)],
    )
}
