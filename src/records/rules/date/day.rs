//! Parses dates in the notations that people use. A time of day may follow the date.

use crate::manifest::DayOrder;
use crate::records::rules::calendar::{NO_TIME, day_number};
use crate::records::rules::epoch;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// The three parts of a written date, and the character between the parts.
struct DayParts<'a> {
    parts: [&'a str; 3],
    separator: char,
}

/// Parses a date with an optional time of day to seconds since 1970. `parse` converts the date to
/// days since 1970. The second argument of `parse` is true if a time follows the date.
pub fn day_and_time(text: &str, parse: impl Fn(&str, bool) -> Option<i64>) -> Option<i64> {
    let (day, time) = match text.rsplit_once(' ').filter(|(_, time)| time.contains(':')) {
        Some((day, time)) => (day.trim_end(), Some(time)),
        None => (text, None),
    };
    let seconds = time.map_or(Some(NO_TIME), time_of_day)?;
    Some(parse(day, time.is_some())? * 86_400 + seconds)
}

/// Parses a time in the form HH:mm or HH:mm:ss to seconds since midnight.
fn time_of_day(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let second = parts.next().map_or(Some(0), |second| number(second, 2))?;
    let valid = parts.next().is_none() && hour < 24 && minute < 60 && second < 60;
    valid.then_some(hour * 3600 + minute * 60 + second)
}

/// Parses a day without a format to days since 1970; `None` if different orders of day and month
/// are possible. `yyyyMMdd` is accepted only with a time, because eight digits without a time could
/// be a number.
pub fn only_reading(day: &str, has_time: bool) -> Option<i64> {
    if has_time && let Some(days) = compact_day(day) {
        return Some(days);
    }
    let day = DayParts::split(day)?;
    let mut readings = day.readings();
    let first = readings.next()?;
    readings.all(|other| other == first).then_some(first)
}

/// Returns whether a date is still valid, but different, if its day and its month are exchanged.
pub fn is_ambiguous(day: &str) -> bool {
    DayParts::split(day).is_some_and(|parts| parts.readings().count() > 1)
        && only_reading(day, false).is_none()
}

/// Returns whether the date has a year of two digits.
pub fn has_short_year(day: &str) -> bool {
    DayParts::split(day).is_some_and(|DayParts { parts: [a, b, c], .. }| {
        let short = |part| number(part, 2).is_some();
        short(a) && short(c) && (short(b) || month(b).is_some())
    })
}

/// Parses a written date to days since 1970. `order` and `separator` are from the format of the
/// column. The date itself may have a different separator.
pub fn written_day(day: &str, order: DayOrder, separator: char) -> Option<i64> {
    let day = DayParts::split(day)?;
    if separator == '-' { day.days(order) } else { day.days_with_iso8601(order) }
}

/// Parses a date in the form `yyyyMMdd` to days since 1970.
pub fn compact_day(day: &str) -> Option<i64> {
    let number = number(day, 8).filter(|_| day.len() == 8)?;
    day_number(number / 10_000, number / 100 % 100, number % 100)
}

impl<'a> DayParts<'a> {
    fn split(day: &'a str) -> Option<Self> {
        let separator = day.chars().find(|c| matches!(c, '/' | '-' | '.' | ' '))?;
        let mut parts = day.split(separator);
        let parts = [parts.next()?, parts.next()?, parts.next()?, parts.next().unwrap_or_default()];
        let [a, b, c, ""] = parts else { return None };
        Some(Self { parts: [a, b, c], separator })
    }

    /// Iterates over the possible meanings of a date without a format, as days since 1970.
    fn readings(&self) -> impl Iterator<Item = i64> {
        DayOrder::ALL.into_iter().filter_map(|order| self.days_with_iso8601(order))
    }

    /// Returns the days since 1970; `None` if the parts are not a day in this order. A date that
    /// begins with a year and has dashes is in ISO 8601, so its month is before its day.
    fn days_with_iso8601(&self, order: DayOrder) -> Option<i64> {
        let reversed = order == DayOrder::YearDayMonth && self.separator == '-';
        if reversed { None } else { self.days(order) }
    }

    /// Returns the date as days since 1970. Returns `None` if the parts are not a date in the
    /// order `order`.
    fn days(&self, order: DayOrder) -> Option<i64> {
        let [a, b, c] = self.parts;
        let (year, month, day) = match order {
            DayOrder::DayMonthYear => (c, number(b, 2), a),
            DayOrder::MonthDayYear => (c, number(a, 2), b),
            DayOrder::YearDayMonth => (a, number(c, 2), b),
            DayOrder::YearMonthDay => (a, number(b, 2), c),
            DayOrder::DayNameYear => (c, month(b), a),
        };
        let year = number(year, 4).filter(|_| year.len() == 4 && order.allows(self.separator))?;
        day_number(year, month?, number(day, 2)?)
    }
}

fn month(name: &str) -> Option<i64> {
    let at = MONTHS.iter().position(|month| name.eq_ignore_ascii_case(month))?;
    Some(at as i64 + 1)
}

/// Parses a number with 1 to `most` digits.
fn number(text: &str, most: usize) -> Option<i64> {
    if text.len() > most { None } else { epoch(text.as_bytes()) }
}
