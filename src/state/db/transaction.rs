//! [`Transaction`], and conversions between columns and the types of this crate.

use std::fmt::Display;
use std::ops::Deref;
use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::{Connection, Params, Row, RowIndex};
use serde::de::DeserializeOwned;

use super::error::{Error, Result};

/// A database connection with an open transaction. The transaction is committed if its work
/// returns `Ok`, and rolled back if its work returns an error.
#[derive(Debug)]
pub struct Transaction<'c> {
    connection: &'c Connection,
    actor: Option<&'c str>,
}

impl<'c> Transaction<'c> {
    /// Wraps a connection with an open transaction. `actor` is the user who runs the command, or
    /// `None` in the daemon.
    pub fn new(connection: &'c Connection, actor: Option<&'c str>) -> Self {
        Self { connection, actor }
    }

    /// Returns the user who runs the command. Returns `None` in the daemon.
    pub fn actor(&self) -> Option<&str> {
        self.actor
    }

    /// Runs a statement that changes rows. Returns the number of changed rows. Keeps the statement
    /// prepared for the next call.
    pub fn change(&self, sql: &str, values: impl Params) -> Result<usize> {
        Ok(self.connection.prepare_cached(sql)?.execute(values)?)
    }

    /// Runs a query and converts each of its rows. Keeps the statement prepared for the next call.
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

    /// Runs a query and converts its first row. Keeps the statement prepared for the next call.
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

/// Returns the present time, rounded down to milliseconds. Milliseconds are the precision of the
/// state database.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    timestamp(millis(now)).unwrap_or(now)
}

/// Converts a time to milliseconds since 1970 UTC, the unit of every time column.
pub fn millis(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// Converts the value of a time column, in milliseconds since 1970 UTC. Returns an error if the
/// value is out of range, because this program did not write it then.
pub fn timestamp(millis: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(millis)
        .map_err(|_| Error::Value(format!("a time that is out of range: {millis}")))
}

/// Reads a column with a time.
pub fn time(row: &Row<'_>, column: impl RowIndex) -> Result<Timestamp> {
    timestamp(row.get(column)?)
}

/// Reads a column with a time that may be NULL.
pub fn optional_time(row: &Row<'_>, column: impl RowIndex) -> Result<Option<Timestamp>> {
    row.get::<_, Option<i64>>(column)?.map(timestamp).transpose()
}

/// Reads a column with text, and parses the text as `T`.
pub fn parsed<T: FromStr<Err: Display>>(row: &Row<'_>, column: impl RowIndex) -> Result<T> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error| Error::Value(format!("the invalid value {text:?}: {error}")))
}

/// Reads a column with JSON that may be NULL.
pub fn json<T: DeserializeOwned>(row: &Row<'_>, column: impl RowIndex) -> Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
}
