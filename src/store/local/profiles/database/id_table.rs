//! Reads the table `identity`, which has the profile of each id.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};

use super::connection::open_reader;
use crate::records::IdKind;
use crate::store::error::Error;
use crate::store::profiles::identity::id_index::{IdIndex, KINDS_BY_NAME};
use crate::store::profiles::identity::resolve::UNKNOWN;
use crate::store::profiles::table::IdReader;

/// The number of rows of `identity` that are compared with the ids in memory as one group.
const GROUP: usize = 128;

/// Reads the committed ids of the database at a path. Each kind of id uses a separate connection.
pub struct SqliteIdReader(PathBuf);

impl SqliteIdReader {
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl IdReader for SqliteIdReader {
    fn read_ids(&self, kind: IdKind, take: impl FnMut(&str, i64) -> bool) -> Result<(), Error> {
        let read = open_reader(&self.0).and_then(|connection| scan_ids(&connection, kind, take));
        read.map_err(Error::sqlite("look up ids", &self.0))
    }
}

/// Returns the profile of each id, by the id's number. Ids without a row have the value
/// [`UNKNOWN`]. Scans the whole table, or looks up the ids one by one in the order of the table.
pub fn find_profiles(
    connection: &Connection,
    ids: &IdIndex,
    scan: bool,
) -> rusqlite::Result<Vec<i64>> {
    let mut profiles = vec![UNKNOWN; ids.len()];
    if !scan {
        let sql = "SELECT profile_id FROM identity WHERE kind = ?1 AND value = ?2";
        let mut statement = connection.prepare_cached(sql)?;
        for number in KINDS_BY_NAME.iter().flat_map(|&kind| ids.in_key_order(kind)) {
            let (kind, value) = ids.get(number);
            let found = statement.query_row([kind.as_str(), value], |row| row.get(0)).optional()?;
            profiles[number as usize] = found.unwrap_or(UNKNOWN);
        }
        return Ok(profiles);
    }
    let mut rows = IdRowGroup::default();
    // Only the known kinds are scanned, because a sysadmin may have added other kinds to the
    // table.
    for kind in KINDS_BY_NAME {
        scan_ids(connection, kind, |id, profile| {
            rows.push(kind, id, profile);
            if rows.rows.len() == GROUP {
                rows.write_to(ids, &mut profiles);
            }
            true
        })?;
    }
    rows.write_to(ids, &mut profiles);
    Ok(profiles)
}

/// Reads all ids of a kind with their profiles, in the order of the table. The function ends early
/// if `take` returns false.
fn scan_ids(
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

/// Calls `take` for each id, with its profile and whether the id is an identity.
pub fn scan_owners(
    connection: &Connection,
    mut take: impl FnMut(i64, bool),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("SELECT profile_id, kind FROM identity")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        take(row.get(0)?, row.get_ref(1)?.as_str()? == IdKind::Identity.as_str());
    }
    Ok(())
}

/// A group of rows of the table `identity`.
#[derive(Default)]
struct IdRowGroup {
    text: String,
    /// For each row, the kind of the id, the end of its text, and its profile.
    rows: Vec<(IdKind, usize, i64)>,
}

impl IdRowGroup {
    fn push(&mut self, kind: IdKind, value: &str, profile: i64) {
        self.text.push_str(value);
        self.rows.push((kind, self.text.len(), profile));
    }

    /// Writes the profile of each id that is in `ids` to `profiles`. Then removes all rows from
    /// the group.
    fn write_to(&mut self, ids: &IdIndex, profiles: &mut [i64]) {
        let mut start = 0;
        let keys = self
            .rows
            .iter()
            .map(|&(kind, end, _)| (kind, &self.text[std::mem::replace(&mut start, end)..end]));
        let numbers = ids.find_all(&keys.collect::<Vec<_>>());
        for (number, &(.., profile)) in numbers.into_iter().zip(&self.rows) {
            if let Some(number) = number {
                profiles[number as usize] = profile;
            }
        }
        self.text.clear();
        self.rows.clear();
    }
}
