//! The table `property_type`. It has the types with which an account's imports stored their
//! properties.

use rusqlite::params;

use super::{Result, Transaction};
use crate::account::AccountId;
use crate::manifest::PropertyType;
use crate::report::DataType;

/// The maximum number of property types that are recorded for an account. The limit is needed
/// because the partner chooses the names.
const MAX_TYPES: usize = 10_000;

/// Returns the recorded types of an account's properties by property name. The type `kind` is left
/// out.
pub fn list_others(
    tx: &Transaction<'_>,
    account: &AccountId,
    data_type: DataType,
    (name, kind): (&str, PropertyType),
) -> Result<Vec<String>> {
    let sql = "SELECT type FROM property_type
               WHERE account = ?1 AND data_type = ?2 AND name = ?3 AND type <> ?4 ORDER BY type";
    let values = params![account.as_str(), data_type.as_str(), name, kind.as_str()];
    tx.select(sql, values, |row| Ok(row.get(0)?))
}

/// Records the types of an import's properties until the maximum number of types is reached.
pub fn record<'a>(
    tx: &Transaction<'_>,
    account: &AccountId,
    data_type: DataType,
    properties: impl Iterator<Item = (&'a str, PropertyType)>,
) -> Result<()> {
    let sql = "SELECT count(*) FROM property_type WHERE account = ?1";
    let count = tx.select_first(sql, [account.as_str()], |row| Ok(row.get::<_, i64>(0)?))?;
    let mut count = count.map_or(0, |count| count as usize);
    let sql = "INSERT OR IGNORE INTO property_type (account, data_type, name, type)
               VALUES (?1, ?2, ?3, ?4)";
    for (name, kind) in properties {
        if count >= MAX_TYPES {
            break;
        }
        let values = params![account.as_str(), data_type.as_str(), name, kind.as_str()];
        count += tx.change(sql, values)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Error, State};

    #[test]
    fn types_are_recorded_by_account() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).unwrap();
        let [acme, other] = ["acme", "other"].map(|id| id.parse().unwrap());
        let (text, number) = (PropertyType::String, PropertyType::Integer);
        let record_one = |account, data_type, name, kind| {
            state.write(|tx| record(tx, account, data_type, [(name, kind)].into_iter())).unwrap();
        };
        for _ in 0..2 {
            record_one(&acme, DataType::Event, "p", text);
            record_one(&acme, DataType::Event, "p", PropertyType::Date);
            record_one(&acme, DataType::Profile, "q", text);
            record_one(&other, DataType::Event, "q", text);
        }
        let others = |account, data_type, property| {
            let read = |tx: &Transaction<'_>| list_others(tx, account, data_type, property);
            state.read::<_, Error>(read).unwrap()
        };
        assert_eq!(others(&acme, DataType::Event, ("p", number)), ["DATE", "STRING"]);
        assert_eq!(others(&acme, DataType::Event, ("p", text)), ["DATE"]);
        assert_eq!(others(&acme, DataType::Event, ("q", number)), [""; 0]);
        assert_eq!(others(&acme, DataType::Profile, ("q", number)), ["STRING"]);
    }

    #[test]
    fn an_account_has_a_limited_number_of_types() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).unwrap();
        let account = "acme".parse().unwrap();
        let names: Vec<_> = (0..MAX_TYPES + 5).map(|n| n.to_string()).collect();
        let properties = || names.iter().map(|name| (name.as_str(), PropertyType::String));
        let count = |tx: &Transaction<'_>| {
            record(tx, &account, DataType::Event, properties())?;
            let sql = "SELECT count(*) FROM property_type";
            tx.select_first(sql, [], |row| Ok(row.get::<_, i64>(0)?))
        };
        assert_eq!(state.write::<_, Error>(count).unwrap(), Some(MAX_TYPES as i64));
    }
}
