//! The `identity` table: where ids lead, read before a window and written after it.
//!
//! Whatever there are many of is read and written in the order of the table's key.

use rusqlite::{OptionalExtension, Statement};

use super::super::super::Error;
use super::database::{Database, SWEEP, run};
use super::ids::{Ids, KINDS_BY_NAME};
use super::resolve::UNKNOWN;
use super::rows::IdRows;
use crate::records::IdKind;

/// How many ids are looked for in memory at once.
const AT_ONCE: usize = 128;

impl Database {
    /// Where each of the ids leads, by their numbers; [`UNKNOWN`] for one that isn't there.
    ///
    /// # Errors
    /// SQLite's.
    pub fn look_up(&self, ids: &Ids, last_profile: i64) -> Result<Vec<i64>, Error> {
        let mut leads = vec![UNKNOWN; ids.len()];
        let look_up = || match last_profile {
            0 => Ok(()),
            // There are about as many ids as profiles, or a few times more.
            last if last / SWEEP < ids.len() as i64 => self.sweep_ids(ids, &mut leads),
            _ => self.look_up_each(ids, &mut leads),
        };
        run(look_up).map_err(self.failed("look up ids"))?;
        Ok(leads)
    }

    /// Reads the whole table, in the order of its pages.
    fn sweep_ids(&self, ids: &Ids, leads: &mut [i64]) -> rusqlite::Result<()> {
        let mut statement =
            self.connection.prepare_cached("SELECT kind, value, profile_id FROM identity")?;
        let mut rows = statement.raw_query();
        let mut found = Found::default();
        while let Some(row) = rows.next()? {
            let name = row.get_ref(0)?.as_str()?;
            // A kind of ours; a sysadmin may add others.
            if let Some(kind) = IdKind::ALL.into_iter().find(|kind| kind.as_str() == name) {
                found.push(kind, row.get_ref(1)?.as_str()?, row.get(2)?);
            }
            if found.rows.len() == AT_ONCE {
                found.note(ids, leads);
            }
        }
        found.note(ids, leads);
        Ok(())
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

    /// Makes each id lead to its profile. They come in [`Ids::in_key_order`].
    ///
    /// # Errors
    /// SQLite's.
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

    /// Notes those that are wanted, and is empty again.
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
