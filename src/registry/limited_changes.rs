//! The table `limited_change` of the registry: the changes of the last hour whose number is limited.
//! The rows are in the registry because each request of the console is a process of its own, and
//! because only root can delete them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, params};

use super::database::RegistryTransaction;
use super::error::Result;
use crate::account::AccountId;

/// The period in which changes are counted.
const PERIOD: SignedDuration = SignedDuration::from_hours(1);

/// Records a change of `account`, which must exist. Deletes the rows that no longer count.
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

/// Returns how long a further change must wait until at most `max` changes were recorded in an hour,
/// for `account` or for all accounts. `None` if the change need not wait. `max` is at least 1.
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

/// Returns the first and the last millisecond of the rows that count at `at`. A row may be later
/// than `at` if two requests run at the same time. Rows far in the future do not count: the clock
/// was set back after them.
fn period(at: Timestamp) -> (i64, i64) {
    let (at, period) = (at.as_millisecond(), PERIOD.as_millis() as i64);
    (at - period + 1, at + period)
}
