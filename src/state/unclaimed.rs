//! Data files that no manifest claimed, and that were told of. One row a file, while it lies there.

use std::collections::HashSet;

use jiff::Timestamp;
use rusqlite::{Transaction, params};

use super::{Result, millis};
use crate::account::AccountId;

/// A file in incoming: another one of the same name has another inode or another last change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Its inode.
    pub inode: u64,
    /// Its last change.
    pub changed: Timestamp,
}

/// Notes that `files` are told of at `at`. Returns those that were not told of before.
///
/// # Errors
/// SQLite's.
pub fn tell(
    tx: &Transaction<'_>,
    account: &AccountId,
    files: &[File],
    at: Timestamp,
) -> Result<Vec<File>> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO unclaimed (account, name, inode, changed_at, told_at)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (account, name) DO UPDATE SET inode = ?3, changed_at = ?4, told_at = ?5
             WHERE inode <> ?3 OR changed_at <> ?4",
    )?;
    let mut new = Vec::new();
    for file in files {
        let inode = file.inode.cast_signed(); // SQLite's integers are signed; equal stays equal
        let changed = millis(file.changed);
        let row = params![account.as_str(), file.name, inode, changed, millis(at)];
        if statement.execute(row)? == 1 {
            new.push(file.clone());
        }
    }
    Ok(new)
}

/// The names that were told of in `account`.
///
/// # Errors
/// SQLite's.
pub fn names(tx: &Transaction<'_>, account: &AccountId) -> Result<HashSet<String>> {
    let mut statement = tx.prepare_cached("SELECT name FROM unclaimed WHERE account = ?1")?;
    let names = statement.query_map([account.as_str()], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}

/// Forgets a file that is gone.
///
/// # Errors
/// SQLite's.
pub fn forget(tx: &Transaction<'_>, account: &AccountId, name: &str) -> Result<()> {
    tx.prepare_cached("DELETE FROM unclaimed WHERE account = ?1 AND name = ?2")?
        .execute([account.as_str(), name])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Error, State};

    #[test]
    fn a_file_is_told_of_once_and_another_one_of_its_name_again() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).unwrap();
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        let file = |name: &str, inode, ms| File { name: name.into(), inode, changed: at(ms) };
        let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
        state
            .write(|tx| {
                let first = [file("e.csv", u64::MAX, 1), file("f.csv", 2, 1)];
                assert_eq!(tell(tx, &acme, &first, at(5))?, first);
                assert_eq!(tell(tx, &acme, &first, at(6))?, []);
                assert_eq!(tell(tx, &other, &first[..1], at(6))?, first[..1]);
                let again = [file("e.csv", 7, 1), file("f.csv", 2, 3)];
                assert_eq!(tell(tx, &acme, &again, at(7))?, again);
                forget(tx, &acme, "e.csv")?;
                assert_eq!(names(tx, &acme)?, HashSet::from(["f.csv".to_owned()]));
                assert_eq!(tell(tx, &acme, &again, at(8))?, again[..1]);
                Ok::<_, Error>(())
            })
            .unwrap();
    }
}
