//! DATE: five formats of a day, each with an optional time, or epoch seconds; always UTC.
//!
//! Without a `format` in the manifest the day is never guessed: 25/12/2020 has only one reading and
//! is accepted, 01/02/2020 has two and is rejected.

use super::{epoch, trim};
use crate::manifest::DateFormat;
use crate::records::rules::rejection::{Detail, Rule, RuleCase};

pub static DATE: Rule = Rule::new(
    "DATE value expected",
    "Write a date in the column's format; name it in the manifest, such as dd/MM/yyyy.",
)
.with_help(hint);

/// The time of day for a date without a time: 00:00:01.
const NO_TIME: i64 = 1;

/// The seconds of the years 1 to 9999.
pub const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Parses a cell to seconds since 1970 UTC; `None` if it is empty.
pub fn date(cell: &str, format: Option<DateFormat>) -> Result<Option<i64>, &'static Rule> {
    match trim(cell) {
        "" => Ok(None),
        text => signed_epoch(text).or_else(|| written(text, format)).map(Some).ok_or(&DATE),
    }
}

/// Parses epoch seconds, with a minus sign for times before 1970.
pub fn signed_epoch(text: &str) -> Option<i64> {
    let seconds = match text.strip_prefix('-') {
        Some(digits) => -epoch(digits)?,
        None => epoch(text)?,
    };
    SECONDS.contains(&seconds).then_some(seconds)
}

fn written(text: &str, format: Option<DateFormat>) -> Option<i64> {
    let (day, time) = split_time(text)?;
    let days = match format {
        Some(format) => days(day, format)?,
        None => only_reading(day)?,
    };
    Some(days * 86_400 + time)
}

/// Returns the text of the day, and the seconds of its time of day.
fn split_time(text: &str) -> Option<(&str, i64)> {
    let Some((day, time)) = text.rsplit_once(' ').filter(|(_, time)| time.contains(':')) else {
        return Some((text, NO_TIME));
    };
    let mut parts = time.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    let (hour, minute, second) = (number(hour, 2)?, number(minute, 2)?, number(second, 2)?);
    let valid = parts.next().is_none() && hour < 24 && minute < 60 && second < 60;
    valid.then_some((day.trim_end(), hour * 3600 + minute * 60 + second))
}

/// Parses a day without a format; `None` if formats give different days.
fn only_reading(day: &str) -> Option<i64> {
    let mut readings = DateFormat::ALL.into_iter().filter_map(|format| days(day, format));
    let first = readings.next()?;
    readings.all(|other| other == first).then_some(first)
}

/// Parses a day to days since 1970.
fn days(text: &str, format: DateFormat) -> Option<i64> {
    let separator = if format == DateFormat::DayNameYear { ' ' } else { '/' };
    let mut parts = text.split(separator);
    let parts = [parts.next()?, parts.next()?, parts.next()?, parts.next().unwrap_or_default()];
    let [a, b, c, ""] = parts else { return None };
    let (year, month, day) = match format {
        DateFormat::DayMonthYear => (c, number(b, 2), a),
        DateFormat::MonthDayYear => (c, number(a, 2), b),
        DateFormat::YearDayMonth => (a, number(c, 2), b),
        DateFormat::YearMonthDay => (a, number(b, 2), c),
        DateFormat::DayNameYear => (c, month(b), a),
    };
    let year = number(year, 4).filter(|_| year.len() == 4)?;
    let date = jiff::civil::Date::new(year as i16, month? as i8, number(day, 2)? as i8).ok()?;
    // Not by a Timestamp, whose range ends a day before the end of the year 9999.
    let since_1970 = date.duration_since(jiff::civil::date(1970, 1, 1));
    (year > 0).then_some(since_1970.as_secs().div_euclid(86_400))
}

fn month(name: &str) -> Option<i64> {
    let at = MONTHS.iter().position(|month| name.eq_ignore_ascii_case(month))?;
    Some(at as i64 + 1)
}

/// Parses 1 to `most` digits.
fn number(text: &str, most: usize) -> Option<i64> {
    if text.len() > most { None } else { epoch(text) }
}

fn hint(case: &RuleCase<'_>) -> Detail {
    let text = case.value?.trim();
    let readable = |format| split_time(text).and_then(|(day, _)| days(day, format)).is_some();
    let readings = DateFormat::ALL.into_iter().filter(|format| readable(*format)).count();
    Some(if readings > 1 {
        "only a format in the manifest can distinguish day and month".into()
    } else {
        let formats = DateFormat::ALL.map(DateFormat::as_str).join(", ");
        format!("write {formats}, each with or without HH:mm:ss, or epoch seconds").into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_second()
    }

    #[test]
    fn reads_every_format_with_and_without_a_time() {
        use DateFormat::*;
        for (cell, format) in [
            ("05/12/2020", DayMonthYear),
            ("12/05/2020", MonthDayYear),
            ("2020/05/12", YearDayMonth),
            ("2020/12/05", YearMonthDay),
            ("05 Dec 2020", DayNameYear),
            ("5 DEC 2020", DayNameYear),
        ] {
            let day = date(cell, Some(format)).unwrap();
            assert_eq!(day, Some(at("2020-12-05T00:00:01Z")), "{cell:?}");
            let time = date(&format!(" {cell} 23:59:59 "), Some(format)).unwrap();
            assert_eq!(time, Some(at("2020-12-05T23:59:59Z")), "{cell:?}");
        }
    }

    #[test]
    fn the_last_day_is_a_date() {
        for cell in ["31/12/9999 23:59:59", "9999/12/31 23:59:59", "31 Dec 9999 23:59:59"] {
            assert_eq!(date(cell, None).unwrap(), Some(253_402_300_799), "{cell:?}");
        }
    }

    #[test]
    fn epochs_are_valid_with_any_format() {
        for format in [None, Some(DateFormat::DayMonthYear)] {
            assert_eq!(date("1589274432", format).unwrap(), Some(1_589_274_432));
            assert_eq!(date("-86400", format).unwrap(), Some(-86_400));
            assert_eq!(date("", format).unwrap(), None);
        }
    }

    #[test]
    fn ambiguous_dates_need_a_format() {
        for (cell, day) in [
            ("25/12/2020", Some("2020-12-25T00:00:01Z")),
            ("12/25/2020", Some("2020-12-25T00:00:01Z")),
            ("2020/25/12", Some("2020-12-25T00:00:01Z")),
            ("11/11/2020", Some("2020-11-11T00:00:01Z")),
            ("01 Feb 2020", Some("2020-02-01T00:00:01Z")),
            ("01/02/2020", None),
            ("2020/01/02", None),
        ] {
            assert_eq!(date(cell, None).ok().flatten(), day.map(at), "{cell:?}");
        }
    }

    #[test]
    fn refuses_invalid_days() {
        for cell in [
            "30/02/2020",
            "29/02/2019",
            "00/01/2020",
            "01/13/2020",
            "01/01/20",
            "01-01-2020",
            "01/01/2020 24:00:00",
            "01/01/2020 10:00",
            "01/01/2020/1",
            "1/1/0000",
            "x",
            "$D_1",
            "999999999999",
            "01/01/2020T10:00:00",
            "-99999999999",
        ] {
            let verdict = date(cell, Some(DateFormat::DayMonthYear));
            assert_eq!(verdict.unwrap_err().text(), "DATE value expected", "{cell:?}");
        }
    }
}
