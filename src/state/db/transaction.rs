//! [`Transaction`], and the conversion between columns and the types of this crate.

use std::fmt::Display;
use std::ops::Deref;
use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::{Connection, Params, Row, RowIndex};
use serde::de::DeserializeOwned;

use super::error::{Error, Result};

/// A connection inside a transaction. The transaction is committed when its work returns `Ok`, and
/// rolled back when it returns an error.
#[derive(Debug)]
pub struct Transaction<'c> {
    connection: &'c Connection,
    actor: Option<&'c str>,
}

impl<'c> Transaction<'c> {
    /// Wraps a connection on which a transaction is open. `actor` is the user who runs this
    /// command; `None` in the daemon.
    pub fn new(connection: &'c Connection, actor: Option<&'c str>) -> Self {
        Self { connection, actor }
    }

    /// The user who runs this command; `None` for the daemon.
    pub fn actor(&self) -> Option<&str> {
        self.actor
    }

    /// Runs a statement that changes rows, and returns how many it changed. Keeps it prepared.
    pub fn change(&self, sql: &str, values: impl Params) -> Result<usize> {
        Ok(self.connection.prepare_cached(sql)?.execute(values)?)
    }

    /// Runs a query and reads each of its rows. Keeps the statement prepared.
    pub fn select<T>(
        &self,
        sql: &str,
        values: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(values)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
        Ok(found)
    }

    /// Runs a query and reads its first row. Keeps the statement prepared.
    pub fn select_first<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(values)?;
        rows.next()?.map(read).transpose()
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

/// Returns the present time to the millisecond, which is the precision of the state database.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    timestamp(millis(now)).unwrap_or(now)
}

/// Converts a time to the unit of every time column: milliseconds since 1970 UTC.
pub fn millis(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// Converts the value of a time column. An error means that this program did not write it.
pub fn timestamp(millis: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(millis)
        .map_err(|_| Error::Value(format!("the time {millis}, which is out of range")))
}

/// Reads a time column.
pub fn time(row: &Row<'_>, column: impl RowIndex) -> Result<Timestamp> {
    timestamp(row.get(column)?)
}

/// Reads a time column that may be NULL.
pub fn optional_time(row: &Row<'_>, column: impl RowIndex) -> Result<Option<Timestamp>> {
    row.get::<_, Option<i64>>(column)?.map(timestamp).transpose()
}

/// Reads a text column whose type can be parsed.
pub fn parsed<T: FromStr<Err: Display>>(row: &Row<'_>, column: impl RowIndex) -> Result<T> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error| Error::Value(format!("the value {text:?}: {error}")))
}

/// Reads a JSON column that may be NULL.
pub fn json<T: DeserializeOwned>(row: &Row<'_>, column: impl RowIndex) -> Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
}
