//! Migrations of the schema. Migrations are numbered files, which are applied in order and in one
//! transaction.
//!
//! `PRAGMA user_version` is the number of applied migrations. Before the first new migration, a
//! database with content is copied to `state.db.schema-<n>-<time>`. The copy makes it possible to
//! undo an upgrade. A database with a newer schema is refused.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};

use super::backup;
use super::error::{BackupError, Error, Result};
use super::schema::{self, MIGRATIONS};
use crate::files::durable::with_suffix;

/// Applies all migrations that were not applied yet. If an error occurs, the database is
/// unchanged.
pub fn run(connection: &mut Connection, path: &Path) -> Result<()> {
    let known = schema::newest();
    if version(connection)? == known {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?; // another process may have just migrated the database
    if found > known {
        let older = newest_copy(path, known)
            .unwrap_or_else(|| with_suffix(path, &format!(".schema-{known}-TIME")));
        return Err(Error::Newer { path: path.to_owned(), found, known, older });
    }
    if found > 0 && found < known {
        // The copy uses another connection, because SQLite can't copy from a connection with an
        // open write transaction.
        let source = backup::open(path)?;
        backup::copy(&source, &copy_path(path, found), |_| Ok::<_, BackupError>(()))?;
    }
    for sql in &MIGRATIONS[found as usize..] {
        transaction.execute_batch(sql)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}

fn version(connection: &Connection) -> Result<i64> {
    match connection.pragma_query_value(None, "user_version", |row| row.get(0))? {
        version @ 0.. => Ok(version),
        other => Err(Error::Value(format!("an invalid schema number: {other}"))),
    }
}

/// Returns the path for a copy of the database at `path` with the schema `schema`. The path
/// contains the present time.
fn copy_path(path: &Path, schema: i64) -> PathBuf {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ").to_string();
    with_suffix(path, &format!(".schema-{schema}-{now}"))
}

/// Returns the path of the newest database copy whose schema is at most `known`. Copies are stored
/// in the folder of the database.
fn newest_copy(path: &Path, known: i64) -> Option<PathBuf> {
    let prefix = format!("{}.schema-", path.file_name()?.to_str()?);
    let mut copies: Vec<(String, PathBuf)> = std::fs::read_dir(path.parent()?)
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let (schema, time) = name.to_str()?.strip_prefix(&prefix)?.split_once('-')?;
            let usable = schema.parse::<i64>().is_ok_and(|schema| schema <= known);
            usable.then(|| (time.to_owned(), entry.path()))
        })
        .collect();
    copies.sort();
    copies.pop().map(|(_, path)| path)
}

#[cfg(test)]
mod tests;
