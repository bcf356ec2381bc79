//! The `identity` table: the profile of each id, read before a merge pass and written after it.
//!
//! Many rows are always read and written in the order of the table's key.

use rusqlite::{Connection, OptionalExtension, Statement};

use super::database::rows::IdRows;
use super::database::{Database, run};
use crate::records::IdKind;
use crate::store::Error;
use crate::store::profiles::identity::id_index::Ids;
use crate::store::profiles::identity::key_order::KINDS_BY_NAME;
use crate::store::profiles::identity::resolve::UNKNOWN;

/// The number of rows that are looked up in memory as one group.
const AT_ONCE: usize = 128;

impl Database {
    /// Returns the profile of each id by its number, [`UNKNOWN`] for ids without a row. Scans the
    /// whole table, or looks up the ids one by one.
    pub fn look_up(&self, ids: &Ids, is_sweep: bool) -> Result<Vec<i64>, Error> {
        let mut leads = vec![UNKNOWN; ids.len()];
        let mut found = Found::default();
        let look_up = || match is_sweep {
            // Scans these kinds only, as a sysadmin may have added others.
            true => KINDS_BY_NAME.into_iter().try_for_each(|kind| {
                sweep(&self.connection, kind, |id, profile| {
                    found.push(kind, id, profile);
                    if found.rows.len() == AT_ONCE {
                        found.note(ids, &mut leads);
                    }
                    true
                })
            }),
            false => self.look_up_each(ids, &mut leads),
        };
        run(look_up).map_err(self.failed("look up ids"))?;
        found.note(ids, &mut leads);
        Ok(leads)
    }

    /// Returns the number of rows.
    pub fn count_ids(&self) -> Result<i64, Error> {
        self.connection
            .query_row("SELECT count(*) FROM identity", [], |row| row.get(0))
            .map_err(self.failed("count ids"))
    }

    fn look_up_each(&self, ids: &Ids, leads: &mut [i64]) -> rusqlite::Result<()> {
        let sql = "SELECT profile_id FROM identity WHERE kind = ?1 AND value = ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        for number in KINDS_BY_NAME.iter().flat_map(|&kind| ids.in_key_order(kind, |_| true)) {
            let (kind, value) = ids.get(number);
            let found = statement.query_row([kind.as_str(), value], |row| row.get(0)).optional()?;
            leads[number as usize] = found.unwrap_or(UNKNOWN);
        }
        Ok(())
    }

    /// Stores the profile of each id. The ids must be in [`Ids::in_key_order`].
    pub fn lead(&self, leads: &IdRows) -> Result<(), Error> {
        let bind = |statement: &mut Statement<'_>, at: usize, (value, profile): (&str, i64)| {
            statement.raw_bind_parameter(at, value)?;
            statement.raw_bind_parameter(at + 1, profile)
        };
        let kind = leads.kind.as_str();
        let into = "identity (kind, value, profile_id)";
        self.replace_into(into, &format!("('{kind}',?,?)"), 2, leads.iter(), bind)
            .map_err(self.failed("store ids"))
    }
}

/// Reads all ids of a kind with their profiles, in the order of the table, until `take` returns
/// false.
pub(super) fn sweep(
    connection: &Connection,
    kind: IdKind,
    mut take: impl FnMut(&str, i64) -> bool,
) -> rusqlite::Result<()> {
    let sql = "SELECT value, profile_id FROM identity WHERE kind = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([kind.as_str()])?;
    while let Some(row) = rows.next()? {
        if !take(row.get_ref(0)?.as_str()?, row.get(1)?) {
            break;
        }
    }
    Ok(())
}

/// Some rows of `identity`.
#[derive(Default)]
struct Found {
    text: String,
    rows: Vec<(IdKind, usize, i64)>,
}

impl Found {
    fn push(&mut self, kind: IdKind, value: &str, profile: i64) {
        self.text.push_str(value);
        self.rows.push((kind, self.text.len(), profile));
    }

    /// Writes the profiles of the ids that are in `ids` to `leads`, then removes all rows.
    fn note(&mut self, ids: &Ids, leads: &mut [i64]) {
        let mut start = 0;
        let keys = self
            .rows
            .iter()
            .map(|&(kind, end, _)| (kind, &self.text[std::mem::replace(&mut start, end)..end]));
        let numbers = ids.find_all(&keys.collect::<Vec<_>>());
        for (number, &(.., profile)) in numbers.into_iter().zip(&self.rows) {
            if let Some(number) = number {
                leads[number as usize] = profile;
            }
        }
        self.text.clear();
        self.rows.clear();
    }
}
