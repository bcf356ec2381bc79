//! Lists the imports that match a sysadmin's filter, the newest first.

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::row::{ImportRow, select};
use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::report::{DataType, ImportState};
use crate::state::db::transaction::parsed;
use crate::state::{Result, Transaction, millis};

/// The conditions for the imports in a list. A field that is `None` or empty matches every import.
#[derive(Clone, Debug, Default)]
pub struct ImportFilter {
    pub account: Option<AccountId>,
    pub states: Vec<ImportState>,
    /// The earliest time of receipt of the imports in the list.
    pub since: Option<Timestamp>,
    pub data_type: Option<DataType>,
    /// A text that the manifest names of the imports in the list contain.
    pub manifest: Option<String>,
    pub limit: u32,
}

/// Returns the newest imports that match `filter`. The newest import is first in the list.
pub fn list<C: DeserializeOwned>(
    tx: &Transaction<'_>,
    filter: &ImportFilter,
) -> Result<Vec<ImportRow<C>>> {
    let states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
    let states = (!states.is_empty()).then(|| serde_json::to_string(&states)).transpose()?;
    select(
        tx,
        "(?1 IS NULL OR account = ?1)
         AND (?2 IS NULL OR state IN (SELECT value FROM json_each(?2)))
         AND (?3 IS NULL OR received_at >= ?3) AND (?4 IS NULL OR type = ?4)
         AND (?5 IS NULL OR instr(manifest, ?5) > 0) ORDER BY n DESC LIMIT ?6",
        &[
            &filter.account.as_ref().map(AccountId::as_str),
            &states,
            &filter.since.map(millis),
            &filter.data_type.map(DataType::as_str),
            &filter.manifest,
            &filter.limit,
        ],
    )
}

/// Returns the ids of all imports of an account.
pub fn ids_of(tx: &Transaction<'_>, account: &AccountId) -> Result<Vec<ImportId>> {
    let sql = "SELECT id FROM import WHERE account = ?1 ORDER BY n";
    tx.select(sql, [account.as_str()], |row| parsed(row, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Error, State, timestamp};

    #[test]
    fn each_filter_field_limits_the_import_list() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).unwrap();
        let rows =
            "INSERT INTO import (id, account, manifest, type, state, claim, stem, received_at)
            VALUES ('a-1', 'acme', 'old.manifest', 'event', 'queued', '\"ingest\"', 's', 1000),
                   ('a-2', 'acme', 'new.manifest', 'profile', 'running', '\"ingest\"', 's', 2000),
                   ('a-3', 'bond', 'new.manifest', 'event', 'claiming', '\"ingest\"', 's', 3000)";
        state.write(|tx| tx.execute(rows, []).map_err(Error::from)).unwrap();
        let of = |change: &dyn Fn(&mut ImportFilter)| {
            let mut filter = ImportFilter { limit: 10, ..ImportFilter::default() };
            change(&mut filter);
            let rows: Vec<ImportRow<String>> = state.read(|tx| list(tx, &filter)).unwrap();
            rows.into_iter().map(|row| row.n).collect::<Vec<_>>()
        };
        assert_eq!(of(&|_| {}), [3, 2, 1]);
        assert_eq!(of(&|f| f.limit = 1), [3]);
        assert_eq!(of(&|f| f.account = "acme".parse().ok()), [2, 1]);
        assert_eq!(of(&|f| f.states = vec![ImportState::Queued, ImportState::Claiming]), [3, 1]);
        assert_eq!(of(&|f| f.since = timestamp(2000).ok()), [3, 2]);
        assert_eq!(of(&|f| f.data_type = Some(DataType::Profile)), [2]);
        assert_eq!(of(&|f| f.manifest = Some("new".into())), [3, 2]);
        assert_eq!(of(&|f| f.manifest = Some("%".into())), [0i64; 0], "% must not be a wildcard");
    }
}
