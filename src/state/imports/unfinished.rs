//! Imports that have not ended: the queue's order, and the imports whose partner is due a progress
//! report.
//!
//! Ingests are left out, because they run in a command of a sysadmin who sees their progress.

use jiff::Timestamp;
use rusqlite::params;

use crate::account::AccountId;
use crate::import_id::{ImportId, InvalidImportId};
use crate::state::Transaction;
use crate::state::{Error, Result, millis};

/// The condition for unfinished imports. It contains the exact condition of the partial index
/// `import_waiting`, because SQLite uses the index for no other.
const NOT_ENDED: &str = "i.state IN ('claiming', 'queued', 'running') AND i.state <> 'claiming'
     AND i.claim <> '\"ingest\"'";

/// Returns every import that is queued or running, with its account, by account and in the order of
/// claims.
pub fn list(tx: &Transaction<'_>) -> Result<Vec<(ImportId, AccountId)>> {
    let mut statement = tx.prepare_cached(&format!(
        "SELECT i.id, i.account FROM import i WHERE {NOT_ENDED} ORDER BY i.account, i.n"
    ))?;
    let mut rows = statement.query([])?;
    let mut imports = Vec::new();
    while let Some(row) = rows.next()? {
        let account = row.get::<_, String>(1)?.parse();
        imports.push((id(row)?, account.map_err(|_| Error::Value("no account id".into()))?));
    }
    Ok(imports)
}

/// Returns the time at which `import` was last queued again by hand.
pub fn retried_at(tx: &Transaction<'_>, import: &ImportId) -> Result<Option<Timestamp>> {
    let at: Option<i64> = tx
        .prepare_cached("SELECT retried_at FROM import WHERE id = ?1")?
        .query_row([import.as_str()], |row| row.get(0))?;
    at.map(crate::state::timestamp).transpose()
}

/// Returns the first `limit` imports without news since `then`: in that time they had no milestone,
/// and were neither received nor queued again.
pub fn silent_since(tx: &Transaction<'_>, then: Timestamp, limit: u32) -> Result<Vec<ImportId>> {
    let mut statement = tx.prepare_cached(&format!(
        "SELECT i.id FROM import i WHERE {NOT_ENDED} AND {SILENT} ORDER BY i.n LIMIT ?2"
    ))?;
    let mut rows = statement.query(params![millis(then), limit])?;
    let mut imports = Vec::new();
    while let Some(row) = rows.next()? {
        imports.push(id(row)?);
    }
    Ok(imports)
}

const SILENT: &str = "i.received_at <= ?1 AND coalesce(i.retried_at, 0) <= ?1
     AND NOT EXISTS (SELECT 1 FROM milestone m WHERE m.import = i.id AND m.at > ?1)";

/// Returns whether [`silent_since`] would include `import` now.
pub fn is_silent_since(tx: &Transaction<'_>, then: Timestamp, import: &ImportId) -> Result<bool> {
    let sql = format!("SELECT count(*) FROM import i WHERE {NOT_ENDED} AND {SILENT} AND i.id = ?2");
    let found: u32 = tx
        .prepare_cached(&sql)?
        .query_row(params![millis(then), import.as_str()], |row| row.get(0))?;
    Ok(found > 0)
}

/// Records that `import` was queued again at `at`, so that its milestones are reported again.
pub fn note_retry(tx: &Transaction<'_>, import: &ImportId, at: Timestamp) -> Result<()> {
    tx.prepare_cached("UPDATE import SET retries = retries + 1, retried_at = ?2 WHERE id = ?1")?
        .execute(params![import.as_str(), millis(at)])?;
    Ok(())
}

fn id(row: &rusqlite::Row<'_>) -> Result<ImportId> {
    row.get::<_, String>(0)?.parse().map_err(|e: InvalidImportId| Error::Value(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;

    fn ids(imports: Vec<ImportId>) -> Vec<String> {
        imports.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn who_waits_in_which_order_and_of_whom_nothing_was_told() {
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
                assert_eq!(ids(silent_since(tx, at(149), 9)?), [""; 0]);
                assert_eq!(ids(silent_since(tx, at(150), 9)?), ["t-1"]);
                assert_eq!(ids(silent_since(tx, at(400), 2)?), ["t-1", "t-2"]);
                let t2 = "t-2".parse().unwrap();
                assert!(is_silent_since(tx, at(200), &t2)?);
                note_retry(tx, &t2, at(350))?;
                assert!(!is_silent_since(tx, at(349), &t2)?);
                Ok::<_, Error>(())
            })
            .unwrap();
    }
}
