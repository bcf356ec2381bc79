//! The activity log. It records each change of an account with its time and its user. Lines can
//! only be added.

use jiff::Timestamp;
use rusqlite::{Params, Row, params};
use serde::Serialize;

use super::db::transaction::time;
use super::{Error, Result, Transaction, millis};
use crate::account::AccountId;
use crate::import_id::ImportId;

/// The number of lines of the activity log that [`ActivityPages`] reads in one transaction.
const PAGE: u32 = 1000;

const COLUMNS: &str = "at, account, import, action, detail, actor, id";

/// One line of the activity log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Activity {
    pub at: Timestamp,
    pub account: Option<String>,
    pub import: Option<String>,
    /// The action of the log line, such as `account.added`, `key.revoked` or `import.picked_up`.
    pub action: String,
    /// Further details of the action. They may contain text that a partner chose.
    pub detail: String,
    /// The user who ran the command that wrote the line. `None` if the daemon wrote the line.
    pub actor: Option<String>,
}

pub fn log(
    tx: &Transaction<'_>,
    at: Timestamp,
    account: Option<&AccountId>,
    import: Option<&ImportId>,
    action: &str,
    detail: &str,
) -> Result<()> {
    let (account, import) = (account.map(AccountId::as_str), import.map(ImportId::as_str));
    tx.change(
        "INSERT INTO activity (at, account, import, action, detail, actor)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![millis(at), account, import, action, detail, tx.actor()],
    )?;
    Ok(())
}

/// Returns the last `limit` lines of the activity log, of `account` or of all accounts. The oldest
/// line is first.
pub fn recent(
    tx: &Transaction<'_>,
    account: Option<&AccountId>,
    limit: u32,
) -> Result<Vec<Activity>> {
    let newest = "ORDER BY at DESC, id DESC LIMIT ?1";
    let lines = match account {
        Some(account) => {
            let condition = format!("WHERE account = ?2 {newest}");
            select(tx, &condition, params![limit, account.as_str()])?
        }
        None => select(tx, newest, params![limit])?,
    };
    Ok(lines.into_iter().rev().map(|(_, line)| line).collect())
}

/// A reader of the activity log. It begins at the oldest line and ends at the last line that
/// existed when the reader was created.
///
/// The reader uses one transaction per page, so that no read transaction lasts long.
#[derive(Clone, Debug)]
pub struct ActivityPages {
    account: Option<AccountId>,
    /// The time and the id of the last line of the activity log that was returned.
    read: (i64, i64),
    last_id: i64,
}

impl ActivityPages {
    /// Creates a reader of the activity log. It reads the lines from the time `since` on, of
    /// `account` or of all accounts.
    pub fn new(
        tx: &Transaction<'_>,
        account: Option<AccountId>,
        since: Option<Timestamp>,
    ) -> Result<Self> {
        let sql = "SELECT coalesce(max(id), 0) FROM activity";
        let last_id = tx.query_row(sql, [], |row| row.get(0))?;
        let read = (since.map_or(i64::MIN, millis), i64::MIN);
        Ok(Self { account, read, last_id })
    }

    /// Returns the next page of lines of the activity log. The oldest line is first. The page is
    /// empty after the last line.
    pub fn next(&mut self, tx: &Transaction<'_>) -> Result<Vec<Activity>> {
        let (at, id) = self.read;
        let rest = "(at, id) > (?2, ?3) AND id <= ?4 ORDER BY at, id LIMIT ?1";
        let lines = match &self.account {
            Some(account) => {
                let condition = format!("WHERE account = ?5 AND {rest}");
                select(tx, &condition, params![PAGE, at, id, self.last_id, account.as_str()])?
            }
            None => select(tx, &format!("WHERE {rest}"), params![PAGE, at, id, self.last_id])?,
        };
        if let Some((id, line)) = lines.last() {
            let read = (millis(line.at), *id);
            // In a damaged database the order of the index can differ from the order of the rows.
            // Without this check the reader could return the same lines forever.
            if read <= self.read {
                return Err(Error::Value("lines of the activity log that are out of order".into()));
            }
            self.read = read;
        }
        Ok(lines.into_iter().map(|(_, line)| line).collect())
    }
}

/// Returns the lines of the activity log that match the SQL condition `condition`. Each line has
/// its id.
fn select(
    tx: &Transaction<'_>,
    condition: &str,
    values: impl Params,
) -> Result<Vec<(i64, Activity)>> {
    tx.select(&format!("SELECT {COLUMNS} FROM activity {condition}"), values, from_row)
}

fn from_row(row: &Row<'_>) -> Result<(i64, Activity)> {
    let line = Activity {
        at: time(row, "at")?,
        account: row.get("account")?,
        import: row.get("import")?,
        action: row.get("action")?,
        detail: row.get("detail")?,
        actor: row.get("actor")?,
    };
    Ok((row.get("id")?, line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Error, State};

    fn state() -> (tempfile::TempDir, State) {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).unwrap();
        (folder, state)
    }

    fn add(state: &State, account: Option<&str>, second: i64, detail: &str) {
        let account = account.map(|id| id.parse().unwrap());
        let at = Timestamp::from_second(second).unwrap();
        state.write(|tx| log(tx, at, account.as_ref(), None, "test", detail)).unwrap();
    }

    fn details(lines: Vec<Activity>) -> Vec<String> {
        lines.into_iter().map(|line| line.detail).collect()
    }

    fn exported(state: &State, account: Option<&str>, since: Option<i64>) -> Vec<String> {
        let account = account.map(|id| id.parse().unwrap());
        let since = since.map(|second| Timestamp::from_second(second).unwrap());
        let mut pages = state.read(|tx| ActivityPages::new(tx, account, since)).unwrap();
        add(state, Some("acme"), 1, "of a later day");
        let mut all = Vec::new();
        loop {
            let lines = state.read(|tx| pages.next(tx)).unwrap();
            if lines.is_empty() {
                return all;
            }
            all.extend(details(lines));
        }
    }

    /// A line about the SFTP server's log can be written after a line with a later time.
    #[test]
    fn activity_lines_are_ordered_by_time() {
        let (_folder, state) = state();
        for (account, second, detail) in [
            (Some("acme"), 5, "e"),
            (Some("acme"), 3, "c"),
            (None, 4, "d"),
            (Some("acme"), 3, "c2"),
        ] {
            add(&state, account, second, detail);
        }
        let recent = |account: Option<&str>, limit| {
            let account: Option<AccountId> = account.map(|id| id.parse().unwrap());
            details(state.read(|tx| recent(tx, account.as_ref(), limit)).unwrap())
        };
        assert_eq!(recent(None, 9), ["c", "c2", "d", "e"]);
        assert_eq!(recent(None, 2), ["d", "e"]);
        assert_eq!(recent(Some("acme"), 2), ["c2", "e"]);
        assert_eq!(exported(&state, None, None), ["c", "c2", "d", "e"]);
        assert_eq!(exported(&state, Some("acme"), Some(4)), ["e"]);
        assert_eq!(exported(&state, Some("other"), None), [""; 0]);
    }

    #[test]
    fn every_activity_line_is_exported_once() {
        let (_folder, state) = state();
        let lines = i64::from(PAGE) * 2 + 10;
        let log_all = |tx: &Transaction<'_>| {
            for n in 0..lines {
                // Most pages end between two lines of the same time.
                let at = Timestamp::from_second(n / 700).unwrap();
                log(tx, at, None, None, "test", &n.to_string())?;
            }
            Ok::<_, Error>(())
        };
        state.write(log_all).unwrap();
        let expected: Vec<_> = (0..lines).map(|n| n.to_string()).collect();
        assert_eq!(exported(&state, None, None), expected);
    }

    #[test]
    fn activity_lines_record_the_user() {
        let (_folder, state) = state();
        add(&state, None, 1, "of the daemon");
        state.set_actor("alice");
        add(&state, None, 2, "of a command");
        let lines = state.read(|tx| recent(tx, None, 9)).unwrap();
        let actors: Vec<_> = lines.iter().map(|line| line.actor.as_deref()).collect();
        assert_eq!(actors, [None, Some("alice")]);
    }

    #[test]
    fn reading_the_activity_log_uses_an_index() {
        let (_folder, state) = state();
        for condition in [
            "ORDER BY at DESC, id DESC LIMIT 9",
            "WHERE account = 'acme' ORDER BY at DESC, id DESC LIMIT 9",
            "WHERE (at, id) > (1, 2) AND id <= 3 ORDER BY at, id LIMIT 9",
            "WHERE account = 'acme' AND (at, id) > (1, 2) AND id <= 3 ORDER BY at, id LIMIT 9",
        ] {
            let sql = format!("EXPLAIN QUERY PLAN SELECT {COLUMNS} FROM activity {condition}");
            let plan = |tx: &Transaction<'_>| {
                let mut statement = tx.prepare(&sql)?;
                let steps = statement.query_map([], |row| row.get::<_, String>(3))?;
                steps.collect::<rusqlite::Result<Vec<_>>>().map_err(Error::from)
            };
            let plan = state.read(plan).unwrap();
            assert!(plan.iter().all(|step| step.contains("INDEX activity_")), "{sql}: {plan:?}");
        }
    }
}
