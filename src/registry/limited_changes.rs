//! Reads and writes the registry's table `limited_change`, which contains the changes of the last
//! hour that count towards a limit. The changes are stored in a database because a separate process
//! handles each request of the console. This database is the registry because only root can delete
//! rows from it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, params};

use super::database::RegistryTransaction;
use super::error::Result;
use crate::account::AccountId;

/// The period in which changes are counted.
const PERIOD: SignedDuration = SignedDuration::from_hours(1);

/// Records a change of `account`. The account must exist in the registry. Deletes the rows that no
/// longer count towards a limit.
pub fn record(
    tx: &RegistryTransaction<'_>,
    at: Timestamp,
    change: &str,
    account: &AccountId,
) -> Result<()> {
    let (first, last) = period(at);
    tx.prepare_cached("DELETE FROM limited_change WHERE at NOT BETWEEN ?1 AND ?2")?
        .execute([first, last])?;
    tx.prepare_cached("INSERT INTO limited_change (at, change, account) VALUES (?1, ?2, ?3)")?
        .execute(params![at.as_millisecond(), change, account.as_str()])?;
    Ok(())
}

/// Returns the time after which one more change is allowed, so that at most `max` changes are made
/// in an hour. Counts the changes of `account`, or of all accounts. Returns `None` if the change is
/// allowed now. `max` is at least 1.
pub fn wait(
    tx: &RegistryTransaction<'_>,
    at: Timestamp,
    change: &str,
    account: Option<&AccountId>,
    max: u32,
) -> Result<Option<Duration>> {
    let (first, last) = period(at);
    let oldest: Option<i64> = tx
        .prepare_cached(
            "SELECT at FROM limited_change
             WHERE change = ?1 AND at BETWEEN ?2 AND ?3 AND (?4 IS NULL OR account = ?4)
             ORDER BY at DESC LIMIT 1 OFFSET ?5 - 1",
        )?
        .query_row(params![change, first, last, account.map(AccountId::as_str), max], |row| {
            row.get(0)
        })
        .optional()?;
    let left = |oldest: i64| (oldest - first + 1).clamp(1, PERIOD.as_millis() as i64) as u64;
    Ok(oldest.map(|oldest| Duration::from_millis(left(oldest))))
}

/// Returns the first and the last millisecond of the period whose rows count at the time `at`. A
/// row may be later than `at` if two requests run at the same time. Rows far in the future do not
/// count, because they were written before the clock was set back.
fn period(at: Timestamp) -> (i64, i64) {
    let (at, period) = (at.as_millisecond(), PERIOD.as_millis() as i64);
    (at - period + 1, at + period)
}
