//! The activity log: what happened, to whom, when. Append-only.

use jiff::Timestamp;
use rusqlite::params;
use serde::Serialize;

use super::{Result, millis, timestamp};
use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::state::Transaction;

/// One line of the activity log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Activity {
    /// When.
    pub at: Timestamp,
    /// Whose.
    pub account: Option<String>,
    /// Which import's.
    pub import: Option<String>,
    /// What: `account.added`, `key.revoked`, `import.picked_up`, …
    pub action: String,
    /// What more there is to say; may hold partner-chosen text.
    pub detail: String,
}

/// Appends a line.
pub fn log(
    tx: &Transaction<'_>,
    at: Timestamp,
    account: Option<&AccountId>,
    import: Option<&ImportId>,
    action: &str,
    detail: &str,
) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO activity (at, account, import, action, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        millis(at),
        account.map(AccountId::as_str),
        import.map(ImportId::as_str),
        action,
        detail
    ])?;
    Ok(())
}

/// The last `limit` lines, oldest first, of `account` or of all.
pub fn recent(
    tx: &Transaction<'_>,
    account: Option<&AccountId>,
    limit: u32,
) -> Result<Vec<Activity>> {
    let mut statement = tx.prepare_cached(
        "SELECT at, account, import, action, detail FROM activity
         WHERE ?1 IS NULL OR account = ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let rows = statement.query_map(params![account.map(AccountId::as_str), limit], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
    })?;
    let mut lines = Vec::new();
    for row in rows {
        let (at, account, import, action, detail) = row?;
        lines.push(Activity { at: timestamp(at)?, account, import, action, detail });
    }
    lines.reverse();
    Ok(lines)
}
