//! Deliveries that wait for a time, when the host's clock was set back.

use jiff::{SignedDuration, Timestamp};
use rusqlite::params;

use super::{Result, millis};
use crate::state::Transaction;

/// Lets what waits wait for `by` less.
///
/// # Errors
/// SQLite's.
pub fn bring_forward(tx: &Transaction<'_>, by: SignedDuration) -> Result<()> {
    let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    tx.execute(
        "UPDATE delivery SET next_attempt_at = max(next_attempt_at - ?1, 0) WHERE state = 'pending'",
        [by],
    )?;
    Ok(())
}

/// Makes due at `now` what would wait for longer than `longest`: it was to come at a time of before
/// the clock was set back.
///
/// # Errors
/// SQLite's.
pub fn not_later_than(tx: &Transaction<'_>, now: Timestamp, longest: SignedDuration) -> Result<()> {
    let latest = now.checked_add(longest).unwrap_or(Timestamp::MAX);
    tx.execute(
        "UPDATE delivery SET next_attempt_at = ?1
         WHERE state = 'pending' AND next_attempt_at > ?2",
        params![millis(now), millis(latest)],
    )?;
    Ok(())
}
