//! The table `unclaimed`: data files in incoming that have no manifest and that were reported to
//! the partner. A row is removed when its file no longer exists.

use jiff::Timestamp;
use rusqlite::params;

use super::db::transaction::time;
use super::{Result, Transaction, millis};
use crate::account::AccountId;

/// A data file in incoming that no manifest names. A later file with the same name has another
/// inode or another time of change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnclaimedRow {
    pub name: String,
    pub inode: u64,
    /// The time of the last change of the file, in whole milliseconds.
    pub changed: Timestamp,
}

/// Records that `file` was reported to the account's contact at the time `at`. Replaces the row of
/// an earlier file with the same name.
pub fn record_report(
    tx: &Transaction<'_>,
    account: &AccountId,
    file: &UnclaimedRow,
    at: Timestamp,
) -> Result<()> {
    let inode = file.inode.cast_signed(); // SQLite has only signed integers
    tx.change(
        "INSERT OR REPLACE INTO unclaimed (account, name, inode, changed_at, told_at)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![account.as_str(), file.name, inode, millis(file.changed), millis(at)],
    )?;
    Ok(())
}

/// Returns the unclaimed files of `account` that were reported, in the order of their names.
pub fn list(tx: &Transaction<'_>, account: &AccountId) -> Result<Vec<UnclaimedRow>> {
    let sql = "SELECT name, inode, changed_at FROM unclaimed WHERE account = ?1 ORDER BY name";
    tx.select(sql, [account.as_str()], |row| {
        let inode = row.get::<_, i64>(1)?.cast_unsigned();
        Ok(UnclaimedRow { name: row.get(0)?, inode, changed: time(row, 2)? })
    })
}

/// Removes the row of a file that does not exist any more.
pub fn remove(tx: &Transaction<'_>, account: &AccountId, name: &str) -> Result<()> {
    let sql = "DELETE FROM unclaimed WHERE account = ?1 AND name = ?2";
    tx.change(sql, [account.as_str(), name])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Error, State};

    #[test]
    fn reported_files_are_stored_by_account_and_name() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).unwrap();
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        let file =
            |name: &str, inode, ms| UnclaimedRow { name: name.into(), inode, changed: at(ms) };
        let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
        state
            .write(|tx| {
                tx.execute_batch(
                    "INSERT INTO account (id, created_at) VALUES ('acme', 0), ('other', 0)",
                )?;
                record_report(tx, &acme, &file("e.csv", 1, 1), at(5))?;
                record_report(tx, &acme, &file("e.csv", u64::MAX, 2), at(6))?;
                record_report(tx, &other, &file("f.csv", 2, 1), at(6))?;
                assert_eq!(list(tx, &acme)?, [file("e.csv", u64::MAX, 2)]);
                remove(tx, &acme, "f.csv")?;
                assert_eq!(list(tx, &other)?.len(), 1);
                tx.execute("DELETE FROM account WHERE id = 'other'", [])?;
                assert_eq!(list(tx, &other)?, [], "rows must be removed with the account");
                remove(tx, &acme, "e.csv")?;
                assert_eq!(list(tx, &acme)?, []);
                Ok::<_, Error>(())
            })
            .unwrap();
    }
}
