//! Reads and writes the table `refused`, which contains the keys that sshd refused, by account,
//! fingerprint and client address.
//!
//! Invariant: an account has at most [`MAX_ROWS`] rows. Rows with a key that the account has or had
//! are kept first, then the rows with the latest times. Therefore a stranger who offers many keys
//! can't remove the rows that have an explanation. No row is older than its account.

use jiff::Timestamp;
use rusqlite::{Row, params};

use super::db::transaction::{optional_time, parsed, time};
use super::{Result, Transaction, millis};
use crate::account::AccountId;
use crate::audit::RefusedKey;

/// The maximum number of rows of one account.
pub const MAX_ROWS: u32 = 100;

/// Adds the counts of `keys`. Ignores a key if its account is unknown, or if the key was refused
/// before its account was added.
pub fn add(tx: &Transaction<'_>, keys: &[RefusedKey]) -> Result<()> {
    for key in keys {
        put(tx, key)?;
    }
    let mut accounts: Vec<&AccountId> = keys.iter().map(|key| &key.account).collect();
    accounts.sort();
    accounts.dedup();
    accounts.into_iter().try_for_each(|account| remove_oldest(tx, account))
}

fn put(tx: &Transaction<'_>, key: &RefusedKey) -> Result<()> {
    tx.change(
        "INSERT INTO refused (account, fingerprint, address, algorithm, times, first_at, last_at)
         SELECT id, ?2, ?3, ?4, ?5, ?6, ?7 FROM account WHERE id = ?1 AND created_at <= ?6
         ON CONFLICT DO UPDATE SET algorithm = excluded.algorithm,
             times = min(times + excluded.times, 4294967295),
             first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at)",
        params![
            key.account.as_str(),
            key.fingerprint,
            key.address,
            key.algorithm,
            key.times,
            millis(key.first_at),
            millis(key.last_at)
        ],
    )?;
    Ok(())
}

fn remove_oldest(tx: &Transaction<'_>, account: &AccountId) -> Result<()> {
    tx.change(
        "DELETE FROM refused WHERE account = ?1 AND (fingerprint, address) IN (
             SELECT fingerprint, address FROM refused WHERE account = ?1
             ORDER BY fingerprint IN (SELECT fingerprint FROM key WHERE account = ?1) DESC,
                 last_at DESC LIMIT -1 OFFSET ?2)",
        params![account.as_str(), MAX_ROWS],
    )?;
    Ok(())
}

/// Removes the keys of `account` that were last refused before `before`. Returns the number of
/// removed rows.
pub fn remove_before(
    tx: &Transaction<'_>,
    account: &AccountId,
    before: Timestamp,
) -> Result<usize> {
    let sql = "DELETE FROM refused WHERE account = ?1 AND last_at < ?2";
    tx.change(sql, params![account.as_str(), millis(before)])
}

/// Returns the refused keys of `account`. The key that was refused last is first.
pub fn list(tx: &Transaction<'_>, account: &AccountId) -> Result<Vec<RefusedKey>> {
    let sql = "SELECT account, fingerprint, address, algorithm, times, first_at, last_at
               FROM refused WHERE account = ?1 ORDER BY last_at DESC, fingerprint, address";
    tx.select(sql, [account.as_str()], from_row)
}

/// Returns the time of the last refused login of any account, unless the time is after `now`.
pub fn last_time(tx: &Transaction<'_>, now: Timestamp) -> Result<Option<Timestamp>> {
    let sql = "SELECT max(last_at) FROM refused WHERE last_at <= ?1";
    Ok(tx.select_first(sql, [millis(now)], |row| optional_time(row, 0))?.flatten())
}

fn from_row(row: &Row<'_>) -> Result<RefusedKey> {
    Ok(RefusedKey {
        account: parsed(row, "account")?,
        fingerprint: row.get("fingerprint")?,
        address: row.get("address")?,
        algorithm: row.get("algorithm")?,
        times: row.get("times")?,
        first_at: time(row, "first_at")?,
        last_at: time(row, "last_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Error, State, account_data};

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    fn key(account: &str, fingerprint: &str, times: u32, first: i64, last: i64) -> RefusedKey {
        RefusedKey {
            account: account.parse().unwrap(),
            fingerprint: fingerprint.into(),
            address: "192.0.2.7".into(),
            algorithm: "ED25519".into(),
            times,
            first_at: at(first),
            last_at: at(last),
        }
    }

    /// Returns a database with the accounts `acme`, added at 10 ms, and `other`.
    fn state(folder: &tempfile::TempDir) -> State {
        let state = State::open(&folder.path().join("state.db")).unwrap();
        let sql = "INSERT INTO account (id, created_at) VALUES ('acme', 10), ('other', 0)";
        state.write(|tx| Ok::<_, Error>(tx.execute_batch(sql)?)).unwrap();
        state
    }

    #[test]
    fn counts_of_a_key_are_added_up() {
        let folder = tempfile::tempdir().unwrap();
        let acme = "acme".parse().unwrap();
        state(&folder)
            .write(|tx| {
                assert_eq!(last_time(tx, at(99))?, None);
                add(tx, &[key("acme", "a", 2, 20, 30), key("nobody", "a", 1, 20, 20)])?;
                let elsewhere = RefusedKey { address: "::1".into(), ..key("acme", "a", 1, 50, 50) };
                add(tx, &[key("acme", "a", u32::MAX, 40, 60), elsewhere.clone()])?;
                add(tx, &[key("acme", "before", 1, 9, 9), key("other", "b", 1, 70, 70)])?;
                assert_eq!(list(tx, &acme)?, [key("acme", "a", u32::MAX, 20, 60), elsewhere]);
                assert_eq!(last_time(tx, at(99))?, Some(at(70)));
                assert_eq!(last_time(tx, at(69))?, Some(at(60)));
                tx.execute("DELETE FROM account WHERE id = 'acme'", [])?;
                assert_eq!(list(tx, &acme)?, []);
                Ok::<_, Error>(())
            })
            .unwrap();
    }

    #[test]
    fn the_oldest_rows_over_the_limit_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let acme = "acme".parse().unwrap();
        let keys: Vec<_> = (0..250).map(|n| key("acme", &n.to_string(), 1, n, n)).collect();
        state(&folder)
            .write(|tx| {
                add(tx, &[key("other", "a", 1, 1, 1)])?;
                keys.chunks(40).try_for_each(|some| add(tx, some))?;
                add(tx, &[key("acme", "older than all", 1, 11, 11)])?;
                let listed = list(tx, &acme)?;
                let newest: Vec<_> = keys.iter().rev().take(MAX_ROWS as usize).cloned().collect();
                assert_eq!(listed, newest);
                assert_eq!(list(tx, &"other".parse().unwrap())?.len(), 1);
                Ok::<_, Error>(())
            })
            .unwrap();
    }

    #[test]
    fn unknown_keys_do_not_displace_known_keys() {
        let folder = tempfile::tempdir().unwrap();
        let acme = "acme".parse().unwrap();
        state(&folder)
            .write(|tx| {
                tx.execute_batch(
                    "INSERT INTO key (account, name, algorithm, public_key, fingerprint, created_at)
                     VALUES ('acme', 'laptop', 'ssh-ed25519', 'AAAA', 'own', 10)",
                )?;
                add(tx, &[key("acme", "own", 1, 11, 11)])?;
                let unknown: Vec<_> =
                    (20..320).map(|n| key("acme", &n.to_string(), 1, n, n)).collect();
                add(tx, &unknown)?;
                let listed = list(tx, &acme)?;
                assert_eq!(listed.len(), MAX_ROWS as usize);
                assert_eq!(listed.last().unwrap().fingerprint, "own");
                Ok::<_, Error>(())
            })
            .unwrap();
    }

    #[test]
    fn rows_are_removed_after_retention() {
        let folder = tempfile::tempdir().unwrap();
        let acme = "acme".parse().unwrap();
        state(&folder)
            .write(|tx| {
                add(tx, &[key("acme", "a", 1, 20, 30), key("acme", "b", 1, 20, 31)])?;
                add(tx, &[key("other", "a", 1, 20, 30)])?;
                assert_eq!(remove_before(tx, &acme, at(31))?, 1);
                assert_eq!(list(tx, &acme)?, [key("acme", "b", 1, 20, 31)]);
                assert_eq!(remove_before(tx, &acme, at(99))?, 1);
                assert_eq!(list(tx, &"other".parse().unwrap())?.len(), 1);
                Ok::<_, Error>(())
            })
            .unwrap();
    }

    #[test]
    fn refused_keys_are_exported_and_erased() {
        let folder = tempfile::tempdir().unwrap();
        let acme = "acme".parse().unwrap();
        let mut exported = Vec::new();
        state(&folder)
            .write(|tx| {
                add(tx, &[key("acme", "a", 3, 20, 1000), key("other", "b", 1, 20, 20)])?;
                account_data::for_each_row(tx, &acme, |table, row| {
                    exported.push((table.to_owned(), serde_json::Value::from(row)));
                    Ok::<_, Error>(())
                })?;
                let removed = account_data::erase(tx, &acme, at(2000))?;
                assert!(removed.contains(&("refused".to_owned(), 1)), "{removed:?}");
                assert_eq!(list(tx, &"other".parse().unwrap())?.len(), 1);
                Ok::<_, Error>(())
            })
            .unwrap();
        let (_, row) = exported.iter().find(|(table, _)| table == "refused").unwrap();
        assert_eq!((&row["times"], &row["last_at"]), (&3.into(), &"1970-01-01T00:00:01Z".into()));
    }
}
