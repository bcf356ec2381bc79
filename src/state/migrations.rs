//! Brings the schema forward, one numbered file after the other, each in one transaction.
//!
//! `PRAGMA user_version` is the number of migrations applied. A newer database is refused.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::{Error, Result, soundness};

/// Every migration, in order; the nth brings schema n-1 to n.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
];

/// The newest schema that this program knows.
pub(super) fn known() -> i64 {
    MIGRATIONS.len() as i64
}

/// Applies what is missing.
///
/// # Errors
/// A newer schema, or a statement that failed; the database then is as it was before that file.
pub(super) fn run(connection: &mut Connection, path: &Path) -> Result<()> {
    let known = MIGRATIONS.len() as i64;
    if version(connection)? == known {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?; // another process may have been first
    if found > known {
        return Err(Error::Newer { path: path.to_owned(), found, known });
    }
    if found == 0
        && let Some(witness) = soundness::witness(path)
    {
        return Err(Error::Lost { path: path.to_owned(), witness });
    }
    for sql in &MIGRATIONS[found as usize..] {
        transaction.execute_batch(sql)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}

fn version(connection: &Connection) -> Result<i64> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use crate::state::{Error, State};

    #[test]
    fn opens_twice_and_refuses_a_newer_schema() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        drop(State::open(&path).unwrap());
        drop(State::open(&path).unwrap());
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(State::open(&path), Err(Error::Newer { found: 99, .. })));
    }
}
