//! Imports that have not ended: the order of the queue, and the imports that need a progress
//! report.
//!
//! Imports of the command `ingest` are excluded, because the sysadmin who runs the command sees the
//! progress.

use jiff::Timestamp;
use rusqlite::params;

use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::state::db::transaction::{optional_time, parsed};
use crate::state::{Result, Transaction, millis};

/// SQL condition for unfinished imports. It contains the exact condition of the partial index
/// `import_waiting`. SQLite would not use the index for a different condition.
const NOT_ENDED: &str = "i.state IN ('claiming', 'queued', 'running') AND i.state <> 'claiming'
     AND i.claim <> '\"ingest\"'";

/// Returns all queued or running imports, each with its account. The list is sorted by account,
/// and within an account by the order of the claims.
pub fn list(tx: &Transaction<'_>) -> Result<Vec<(ImportId, AccountId)>> {
    let sql =
        format!("SELECT i.id, i.account FROM import i WHERE {NOT_ENDED} ORDER BY i.account, i.n");
    tx.select(&sql, [], |row| Ok((parsed(row, 0)?, parsed(row, 1)?)))
}

/// Returns the time at which a sysadmin last requeued `import`.
pub fn retried_at(tx: &Transaction<'_>, import: &ImportId) -> Result<Option<Timestamp>> {
    let sql = "SELECT retried_at FROM import WHERE id = ?1";
    Ok(tx.select_first(sql, [import.as_str()], |row| optional_time(row, 0))?.flatten())
}

/// Returns at most `limit` imports without news since `then`. Such an import had no milestone after
/// `then`, and was neither received nor requeued after `then`.
pub fn list_without_news(
    tx: &Transaction<'_>,
    then: Timestamp,
    limit: u32,
) -> Result<Vec<ImportId>> {
    let sql =
        format!("SELECT i.id FROM import i WHERE {NOT_ENDED} AND {NO_NEWS} ORDER BY i.n LIMIT ?2");
    tx.select(&sql, params![millis(then), limit], |row| parsed(row, 0))
}

const NO_NEWS: &str = "i.received_at <= ?1 AND coalesce(i.retried_at, 0) <= ?1
     AND NOT EXISTS (SELECT 1 FROM milestone m WHERE m.import = i.id AND m.at > ?1)";

/// Returns whether [`list_without_news`] would include `import` now.
pub fn is_without_news(tx: &Transaction<'_>, then: Timestamp, import: &ImportId) -> Result<bool> {
    let sql = format!("SELECT 1 FROM import i WHERE {NOT_ENDED} AND {NO_NEWS} AND i.id = ?2");
    let values = params![millis(then), import.as_str()];
    Ok(tx.select_first(&sql, values, |_| Ok(()))?.is_some())
}

/// Records that `import` was requeued at the time `at`. The milestones of the import will be
/// reported again.
pub fn record_retry(tx: &Transaction<'_>, import: &ImportId, at: Timestamp) -> Result<()> {
    let sql = "UPDATE import SET retries = retries + 1, retried_at = ?2 WHERE id = ?1";
    tx.change(sql, params![import.as_str(), millis(at)])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Error, State};

    fn ids(imports: Vec<ImportId>) -> Vec<String> {
        imports.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn imports_without_recent_milestones_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).unwrap();
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        state
            .write(|tx| {
                for (n, account, import_state, claim, received) in [
                    (1, "b", "running", "{}", 100),
                    (2, "a", "queued", "{}", 200),
                    (3, "a", "running", "{}", 300),
                    (4, "a", "claiming", "{}", 100),
                    (5, "a", "running", "\"ingest\"", 100),
                ] {
                    tx.execute(
                        "INSERT INTO import (n, id, account, manifest, state, claim, stem, received_at)
                         VALUES (?1, 't-' || ?1, ?2, 'm', ?3, ?4, 'm', ?5)",
                        params![n, account, import_state, claim, received],
                    )?;
                }
                tx.execute_batch(
                    "INSERT INTO milestone (id, import, account, type, at, body)
                     VALUES ('m', 't-1', 'b', 'import.picked_up', 150, '{}')",
                )?;
                let listed = list(tx)?.into_iter().map(|(id, _)| id).collect();
                assert_eq!(ids(listed), ["t-2", "t-3", "t-1"]);
                assert_eq!(ids(list_without_news(tx, at(149), 9)?), [""; 0]);
                assert_eq!(ids(list_without_news(tx, at(150), 9)?), ["t-1"]);
                assert_eq!(ids(list_without_news(tx, at(400), 2)?), ["t-1", "t-2"]);
                let t2 = "t-2".parse().unwrap();
                assert!(is_without_news(tx, at(200), &t2)?);
                record_retry(tx, &t2, at(350))?;
                assert!(!is_without_news(tx, at(349), &t2)?);
                Ok::<_, Error>(())
            })
            .unwrap();
    }
}
