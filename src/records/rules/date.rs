//! Parses a DATE: a day with an optional time, in UTC. The format is a format of the manifest, ISO
//! 8601, or seconds since 1970.
//!
//! Without a `format` in the manifest, an ambiguous day is rejected. 25/12/2020 is accepted,
//! because only one order of day and month is possible. 01/02/2020 is rejected, because two orders
//! are possible. A number is read as seconds since 1970 only if it has enough digits. A shorter
//! number could be a date, a spreadsheet's day number or a year.

mod day;
mod hint;
mod instant;
mod iso8601;

pub use self::hint::{compact_hint, number_hint, out_of_range};
use self::instant::instant;
pub use self::instant::{is_written_day, signed_epoch};
use super::trim;
use crate::manifest::DateFormat;
use crate::records::rules::rejection::Rule;

pub static DATE: Rule = Rule::new(
    "DATE value expected",
    "Write a date in the column's format, or set format in the manifest, such as dd/MM/yyyy.",
)
.with_help(hint::hint);

/// Parses a cell of the type DATE to seconds since 1970 UTC. Returns `None` if the cell is empty.
pub fn date(cell: &str, format: Option<DateFormat>) -> Result<Option<i64>, &'static Rule> {
    match trim(cell) {
        "" => Ok(None),
        text => instant(text, format).map(Some).ok_or(&DATE),
    }
}

#[cfg(test)]
mod tests;
