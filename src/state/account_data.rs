//! Exports and erases all data that the state database holds about one account, with any schema.
//!
//! A table belongs to accounts if it has a column `account`. `OTHERS` lists the tables that have
//! no such column but refer to a table that has one. A test fails for a new table that belongs to
//! neither group.

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde_json::{Map, Value};

use super::{Error, Result, Transaction, activity, timestamp};
use crate::account::AccountId;

/// The tables that hold rows of accounts but have no column `account`. Each table has an SQL
/// condition for the rows of the account `?1`.
const OTHERS: &[(&str, &str)] = &[
    ("account", "id = ?1"),
    ("delivery", "milestone IN (SELECT id FROM milestone WHERE account = ?1)"),
    (
        "attempt",
        "delivery IN (SELECT d.id FROM delivery d JOIN milestone m ON m.id = d.milestone
                      WHERE m.account = ?1)",
    ),
];

/// The columns of the state database that hold secrets. They are never exported.
const SECRETS: &[&str] = &["secret", "old_secret"];

/// The columns of the state database that hold JSON.
const JSON: &[&str] =
    &["recipient_domains", "recipient_addresses", "claim", "refusal", "report", "body", "warnings"];

/// Calls `each` for every row of `account`, with the name of the row's table. All rows of one table
/// come before those of the next table. Times are RFC 3339. Secrets are not passed on.
pub fn for_each_row<E: From<Error>>(
    tx: &Transaction<'_>,
    account: &AccountId,
    mut each: impl FnMut(&str, Map<String, Value>) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let sql = Error::Sql;
    for (table, condition) in tables(tx)? {
        let query = format!("SELECT * FROM {table} WHERE {condition} ORDER BY 1");
        let mut statement = tx.prepare(&query).map_err(sql)?;
        let columns: Vec<String> = statement.column_names().map(Into::into).collect();
        let mut rows = statement.query([account.as_str()]).map_err(sql)?;
        while let Some(row) = rows.next().map_err(sql)? {
            each(&table, read_object(row, &columns)?)?;
        }
    }
    Ok(())
}

/// Removes every row of `account`, overwrites the rows in the file, and adds one line about the
/// removal to the activity log. Returns the names of the tables in which rows were removed, and the
/// number of removed rows.
pub fn erase(
    tx: &Transaction<'_>,
    account: &AccountId,
    at: Timestamp,
) -> Result<Vec<(String, usize)>> {
    tx.pragma_update(None, "secure_delete", true)?;
    let mut removed = Vec::new();
    // A row that refers to another row is removed before the row that it refers to.
    for (table, condition) in tables(tx)?.into_iter().rev() {
        let rows =
            tx.execute(&format!("DELETE FROM {table} WHERE {condition}"), [account.as_str()])?;
        if rows > 0 {
            removed.push((table, rows));
        }
    }
    if !removed.is_empty() {
        let counts: Vec<_> =
            removed.iter().map(|(table, rows)| format!("{table} {rows}")).collect();
        let detail = format!("removed rows per table: {}", counts.join(", "));
        activity::log(tx, at, Some(account), None, "account.erased", &detail)?;
    }
    Ok(removed)
}

/// Returns the tables that hold rows of accounts, each with an SQL condition for the rows of one
/// account. A table that refers to another table comes after that table.
///
/// The names of the tables become part of SQL statements and of the names of export files.
/// Therefore a name with a character that no schema of this program uses is skipped.
fn tables(tx: &Transaction<'_>) -> Result<Vec<(String, String)>> {
    let own: Vec<String> = tx.select(
        "SELECT t.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
         WHERE t.type = 'table' AND c.name = 'account' AND t.name NOT GLOB '*[^a-z_]*'
         ORDER BY t.name",
        [],
        |row| Ok(row.get(0)?),
    )?;
    let own = own.iter().map(|table| (table.as_str(), "account = ?1"));
    let (account, referring) = OTHERS.split_at(1);
    let all = account.iter().copied().chain(own).chain(referring.iter().copied());
    Ok(all.map(|(table, condition)| (table.to_owned(), condition.to_owned())).collect())
}

fn read_object(row: &Row<'_>, columns: &[String]) -> Result<Map<String, Value>> {
    let mut object = Map::new();
    for (place, column) in columns.iter().enumerate() {
        if !SECRETS.contains(&column.as_str()) {
            object.insert(column.clone(), to_json(column, row.get_ref(place)?)?);
        }
    }
    Ok(object)
}

fn to_json(column: &str, value: ValueRef<'_>) -> Result<Value> {
    let is_time = ["at", "until", "since"].iter().any(|end| {
        column == *end || column.strip_suffix(end).is_some_and(|start| start.ends_with('_'))
    });
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(millis) if is_time => timestamp(millis)?.to_string().into(),
        ValueRef::Integer(n) => n.into(),
        ValueRef::Real(n) => n.into(),
        ValueRef::Text(text) if JSON.contains(&column) => serde_json::from_slice(text)?,
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) => format!("{bytes:02x?}").into(), // no table has a blob
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;

    /// Opens a state database with two accounts. The account `ACME-1` has rows in every table.
    fn state(folder: &tempfile::TempDir) -> State {
        let state = State::open(&folder.path().join("state.db")).unwrap();
        let data = include_str!("../../tests/upgrade/schema-1.sql");
        state.write(|tx| Ok::<_, Error>(tx.execute_batch(data)?)).unwrap();
        state
    }

    fn acme() -> AccountId {
        "ACME-1".parse().unwrap()
    }

    #[test]
    fn every_table_is_exported() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(&folder);
        state
            .read(|tx| {
                let known = tables(tx)?;
                let mut all = tx.prepare(
                    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
                )?;
                for table in all.query_map([], |row| row.get::<_, String>(0))? {
                    let table = table?;
                    assert!(known.iter().any(|(name, _)| *name == table), "{table}");
                }
                Ok::<_, Error>(())
            })
            .unwrap();
    }

    #[test]
    fn every_row_of_an_account_is_exported() {
        let folder = tempfile::tempdir().unwrap();
        let mut rows = Vec::new();
        state(&folder)
            .read(|tx| {
                for_each_row(tx, &acme(), |table, row| {
                    rows.push((table.to_owned(), Value::from(row)));
                    Ok::<_, Error>(())
                })
            })
            .unwrap();
        let of = |table: &str| rows.iter().filter(|(name, _)| name == table).collect::<Vec<_>>();
        let counts = [
            "account",
            "key",
            "import",
            "manifest_name",
            "endpoint",
            "milestone",
            "delivery",
            "attempt",
            "activity",
        ]
        .map(|table| of(table).len());
        assert_eq!(counts, [1, 2, 2, 2, 2, 1, 2, 2, 2]);
        assert_eq!(of("account")[0].1["created_at"], "2026-01-01T00:00:00Z");
        assert_eq!(of("import")[0].1["report"]["records"]["accepted"], 3);
        let text = format!("{rows:?}");
        assert!(!text.contains("whsec_") && !text.contains("gone@"), "{text}");
    }

    #[test]
    fn secrets_of_endpoints_are_not_exported() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(&folder);
        let replace = "UPDATE endpoint SET old_secret = 'whsec_b2xkLXNlY3JldA==',
                       old_secret_until = 1767312000000 WHERE account = 'ACME-1'";
        state.write(|tx| Ok::<_, Error>(tx.execute_batch(replace)?)).unwrap();
        let mut endpoints = Vec::new();
        let read = |tx: &Transaction<'_>| {
            for_each_row(tx, &acme(), |table, row| {
                endpoints.extend((table == "endpoint").then(|| Value::from(row)));
                Ok::<_, Error>(())
            })
        };
        state.read(read).unwrap();
        assert_eq!(endpoints.len(), 2);
        for endpoint in endpoints {
            assert_eq!(endpoint["old_secret_until"], "2026-01-02T00:00:00Z");
            assert!(!endpoint.to_string().contains("whsec_"), "{endpoint}");
        }
    }

    /// The test finds the secret columns of later schemas by their names.
    #[test]
    fn every_secret_column_is_excluded_from_exports() {
        let folder = tempfile::tempdir().unwrap();
        let columns = |tx: &Transaction<'_>| {
            let mut columns = tx.prepare(
                "SELECT c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
                 WHERE t.type = 'table'",
            )?;
            let names = columns.query_map([], |row| row.get::<_, String>(0))?;
            names.map(|name| Ok::<_, Error>(name?)).collect::<Result<Vec<_>>>()
        };
        let mut named: Vec<String> = state(&folder).read(columns).unwrap();
        named.retain(|name| {
            ["secret", "password", "token", "private"].iter().any(|word| name.contains(word))
                && !name.ends_with("_until")
        });
        named.sort();
        assert_eq!(named, ["old_secret", "secret"]);
        assert!(named.iter().all(|name| SECRETS.contains(&name.as_str())));
    }

    #[test]
    fn erasure_keeps_only_one_activity_line() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(&folder);
        let at = Timestamp::UNIX_EPOCH;
        let removed = state.write(|tx| erase(tx, &acme(), at)).unwrap();
        assert_eq!(removed.iter().map(|(_, rows)| rows).sum::<usize>(), 16);
        let again = state.write(|tx| erase(tx, &"nobody".parse().unwrap(), at)).unwrap();
        assert!(again.is_empty());
        state.checkpoint().unwrap();
        let mut left = Vec::new();
        let read = |tx: &Transaction<'_>| {
            for_each_row(tx, &acme(), |table, row| {
                left.push(format!("{table} {}", row["action"]));
                Ok::<_, Error>(())
            })
        };
        state.read(read).unwrap();
        assert_eq!(left, ["activity \"account.erased\""]);
        let gone: AccountId = "gone".parse().unwrap();
        let mut others = 0;
        let count = |_: &str, _| {
            others += 1;
            Ok::<_, Error>(())
        };
        state.read(|tx| for_each_row(tx, &gone, count)).unwrap();
        assert_eq!(others, 2, "the rows of another account must stay");
        drop(state);
        let bytes = std::fs::read(folder.path().join("state.db")).unwrap();
        let found = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        assert!(!found(b"data@acme.example") && !found(b"crm.acme.example"), "overwritten");
        assert!(found(b"x@gone.example"), "the search must find text that exists");
    }
}
