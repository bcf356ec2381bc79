//! DATE: a day with an optional time in a format of the manifest, ISO 8601, or an epoch; UTC.
//!
//! Without a `format` in the manifest the day is never guessed: 25/12/2020 has only one reading and
//! is accepted, 01/02/2020 has two and is rejected. Digits alone are epoch seconds only if there are
//! enough of them that they can't be a date, a spreadsheet's day number or a year.

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
    "Write a date in the column's format; name it in the manifest, such as dd/MM/yyyy.",
)
.with_help(hint::hint);

/// Parses a cell to seconds since 1970 UTC; `None` if it is empty.
pub fn date(cell: &str, format: Option<DateFormat>) -> Result<Option<i64>, &'static Rule> {
    match trim(cell) {
        "" => Ok(None),
        text => instant(text, format).map(Some).ok_or(&DATE),
    }
}

#[cfg(test)]
mod tests;
